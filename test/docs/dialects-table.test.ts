import { exec, execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECT_NAMES, openDialects } from '#agent/serve/dialects.js';
import { type ModelServer, startModelServer } from '../kit/model-server.js';
import { affineModel } from '../kit/onnx-models.js';
import { PROJECT_ROOT } from '../kit/processes.js';

const run = promisify(exec);

/** Client and request of each row of the README's table. */
function rows(): readonly (readonly [string, string])[] {
  const [, section = ''] = readFileSync(path.join(PROJECT_ROOT, 'README.md'), 'utf8').split('## Clients you already have\n');
  const [table = ''] = section.split('\n## ');
  return [...table.matchAll(/^\| (.+?) \| `(.+)` \|$/gm)].map(([, client = '', request = '']) => [client, request]);
}

/** The dialect that a row switches on, where it is not spoken by default. */
const named = (client: string): string | undefined => /--dialects ([\w-]+)/.exec(client)?.[1];

let server: ModelServer;
const others = new Map<string, ModelServer>();

beforeAll(async () => {
  const models = { scale: affineModel({ scale: 2, bias: 1 }) };
  server = await startModelServer({ dialects: await openDialects(), models, config: { grpc: { host: '127.0.0.1', port: 0 } } });
  for (const name of rows().flatMap(([client]) => named(client) ?? [])) {
    others.set(name, await startModelServer({ dialects: await openDialects([name]), models, config: { vertex: { predict: '/predict' } } }));
  }
});
afterAll(async () => {
  await Promise.all([server, ...others.values()].map((each) => each.close()));
});

test("the README's program runs", async () => {
  const [, program = ''] = /```js\n([^]*?)```/.exec(readFileSync(path.join(PROJECT_ROOT, 'README.md'), 'utf8')) ?? [];
  const text = program.replace('http://127.0.0.1:7490', server.base);
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', text], { cwd: PROJECT_ROOT });
  expect(stdout).toMatch(/^1 .*3, 5, 7, 9/);
});

describe("the README's table of clients", () => {
  test('has a row for each dialect, and one for gRPC', () => {
    expect(rows()).toHaveLength(DIALECT_NAMES.length + 1);
  });

  test.each(rows())('%s', async (client, request) => {
    const asked = others.get(named(client) ?? '') ?? server;
    const command = request.replaceAll('127.0.0.1:7490', new URL(asked.base).host).replaceAll('grpc://127.0.0.1:7491', server.grpc);
    const { stdout } = await run(command, { cwd: PROJECT_ROOT, shell: '/bin/bash' });
    expect(stdout).toMatch(/3[^]*5[^]*7[^]*9/);
  });
});
