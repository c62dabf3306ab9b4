import { execFileSync } from 'node:child_process';
import { chmod, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checksums, checksumsHold, publicKeyPem, signChecksums } from '#packaging/archive/checksums.js';
import { makeDeb } from '#packaging/archive/deb.js';
import { layOut, type TreeEntry } from '#packaging/archive/tree.js';
import { packTar } from '#packaging/archive/compress.js';
import { PROGRAMS } from '#packaging/targets.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { tempFolder } from '../kit/temp-folder.js';
import { whyNot } from './tools.js';

const EPOCH = 1_767_225_600;
const missing = whyNot(['tar', 'gzip', 'xz']);
const entries: readonly TreeEntry[] = [
  { kind: 'text', path: 'usr/bin/tool', text: '#!/bin/sh\n', mode: 0o755 },
  { kind: 'text', path: 'etc/tool/tool.yaml', text: 'a: 1\n', mode: 0o644, conffile: true },
  { kind: 'link', path: 'usr/bin/other', to: 'tool' },
];

describe.skipIf(missing !== undefined)(`archives${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  it('are the same bytes whenever, by whomever and under whatever name they are packed', async () => {
    const made: Buffer[] = [];
    for (const name of ['one', 'two']) {
      const folder = path.join(await tempFolder(), name);
      await layOut(folder, entries);
      if (name === 'two') {
        await utimes(path.join(folder, 'usr/bin/tool'), 1, 1);
        await chmod(folder, 0o755);
      }
      const file = path.join(await tempFolder(), 'packed.tar.gz');
      await packTar(folder, file, 'tool-1', EPOCH, 'gz', 'quick');
      made.push(await readFile(file));
    }
    expect(made[0]?.equals(made[1] ?? Buffer.alloc(0))).toBe(true);
  });

  it.skipIf(whyNot(['dpkg-deb']) !== undefined)('are packages that dpkg takes, with their conffiles and sums', async () => {
    const work = await tempFolder();
    const file = path.join(work, 'tool.deb');
    const control = { Package: 'tool', Version: '1-1', Architecture: 'all', Maintainer: 'a <b@c>', Description: 'a tool' };
    await makeDeb(file, { control, scripts: { postinst: '#!/bin/sh\nexit 0\n' }, entries }, path.join(work, 'w'), EPOCH, 'quick');
    const ask = (...args: readonly string[]): string => execFileSync('dpkg-deb', [...args], { encoding: 'utf8' });
    expect(ask('-f', file, 'Package', 'Installed-Size')).toContain('Installed-Size: 2');
    expect(ask('-I', file, 'conffiles')).toBe('/etc/tool/tool.yaml\n');
    expect(ask('-I', file, 'md5sums')).toMatch(/^[0-9a-f]{32} {2}usr\/bin\/tool\n$/);
    expect(ask('-c', file)).toContain('./usr/bin/other -> tool');
  });
});

describe('checksums', () => {
  it('are signed in a way that our own check and openssl both understand', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'a.deb');
    await writeFile(file, 'a package');
    const sums = await checksums([file]);
    expect(sums).toMatch(/^[0-9a-f]{64} {2}a\.deb\n$/);
    const key = generateSigningKey();
    const signature = signChecksums(sums, key);
    expect(checksumsHold(Buffer.from(sums), signature, key.publicKey)).toBe(true);
    expect(checksumsHold(Buffer.from(`${sums}x`), signature, key.publicKey)).toBe(false);
    const at = (name: string): string => path.join(folder, name);
    await Promise.all([writeFile(at('sums'), sums), writeFile(at('sig'), signature), writeFile(at('pem'), publicKeyPem(key.publicKey))]);
    const said = execFileSync('openssl', [
      'pkeyutl',
      '-verify',
      '-pubin',
      '-inkey',
      at('pem'),
      '-rawin',
      '-in',
      at('sums'),
      '-sigfile',
      at('sig'),
    ]);
    expect(said.toString()).toContain('Verified Successfully');
  });
});

describe('the list of worker threads', () => {
  it('names a program for every worker a program starts', async () => {
    for (const program of Object.values(PROGRAMS)) {
      const room = path.join(PROJECT_ROOT, program.name);
      const files = (await readdir(room, { recursive: true })).filter((name) => name.endsWith('.ts'));
      const texts = await Promise.all(files.map((name) => readFile(path.join(room, name), 'utf8')));
      const started = texts.flatMap((text) => [...text.matchAll(/spawnWorker\('([a-z]+)'/g)].map((match) => match[1] ?? ''));
      expect(Object.keys(program.workers).toSorted()).toEqual([...new Set(started)].toSorted());
    }
  });
});
