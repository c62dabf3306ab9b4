import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBroker } from '../kit/broker.js';
import { DOCUMENTS, kindOfFile, readDocument } from '../vectors/documents.js';
import { laterDocuments } from '../vectors/later.js';
import { jsonSchemaOf } from '../vectors/reader-schema.js';
import { readSet, VECTORS } from '../vectors/sets.js';
import { Recording } from '../vectors/record.js';
import { QUICK_HUB } from './rollouts.js';
import { World } from './world.js';

/** Name of a set to write, such as `release-0.2` (test/vectors/README.md). */
const RECORD = process.env['RECORD_VECTORS'];

async function write(set: string, documents: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await mkdir(path.join(VECTORS, set), { recursive: true });
  for (const [file, bytes] of documents) await writeFile(path.join(VECTORS, set, file), bytes);
}

describe('what the programs of this release write', () => {
  let broker: TestBroker;
  let world: World;
  let documents: ReadonlyMap<string, Uint8Array>;

  beforeAll(async () => {
    broker = await TestBroker.start();
    world = await World.start({ hubArgs: [...QUICK_HUB, '--mqtt-url', broker.url], trustArgs: ['--agent'] });
    documents = await new Recording(world, broker).run();
    if (RECORD === undefined) return;
    await write(RECORD, documents);
    await write('later', laterDocuments(documents));
    await mkdir(path.join(VECTORS, RECORD, 'readers'), { recursive: true });
    for (const [name, { schema, byPerson }] of Object.entries(DOCUMENTS)) {
      if (byPerson === true) continue;
      await writeFile(path.join(VECTORS, RECORD, 'readers', `${name}.schema.json`), `${JSON.stringify(jsonSchemaOf(schema))}\n`);
    }
  });
  afterAll(async () => {
    await world.close();
    await broker.kill();
  });

  it('is every document of every recorded release, and a kind of document that is not recorded yet is noticed', async () => {
    const kinds = new Set([...documents.keys()].map((file) => file.slice(0, file.indexOf('.'))));
    expect([...kinds].toSorted()).toEqual(Object.keys(DOCUMENTS).toSorted());
    for (const set of await releases())
      expect([...documents.keys()].toSorted()).toEqual(expect.arrayContaining([...(await readSet(set)).keys()]));
  });

  it('is accepted by the readers of every recorded release', async () => {
    for (const set of await releases()) {
      const refused: string[] = [];
      for (const [file, bytes] of documents) {
        const name = file.slice(0, file.indexOf('.'));
        const reader = await readerOf(set, name);
        if (reader !== undefined && !reader(readDocument(file, bytes))) refused.push(`${set} ${file}: ${JSON.stringify(reader.errors)}`);
      }
      expect(refused).toEqual([]);
    }
  });

  it('is accepted by its own readers, as a look at them would show', () => {
    const refused = [...documents].filter(([file, bytes]) => !kindOfFile(file).schema.safeParse(readDocument(file, bytes)).success);
    expect(refused.map(([file]) => file)).toEqual([]);
  });
});

async function releases(): Promise<string[]> {
  return (await readdir(VECTORS)).filter((name) => name.startsWith('release-'));
}

/** How a release of then reads a kind of document; `undefined` for one it did not know. */
async function readerOf(set: string, name: string) {
  const text = await readFile(path.join(VECTORS, set, 'readers', `${name}.schema.json`), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(text) as object);
}
