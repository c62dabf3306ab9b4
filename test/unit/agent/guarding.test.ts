import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openGuarding } from '#agent/assembly/guarding.js';
import { buildProgram } from '#agent/cli/program.js';
import { isLoopback, networkOf, shownAddress } from '#agent/serve/access/caller-address.js';
import { Parts } from '#shared/kernel/lifecycle.js';
import { recordingLogger } from '../../kit/recorder.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

test('an address that others reach, without an access file, is warned about in log and status', async () => {
  const { logger, lines } = recordingLogger();
  const parts = new Parts();
  const open = (httpHost: string) => openGuarding(parts, { config: { httpHost }, clock: new VirtualClock(), logger });
  expect((await open('127.0.0.1')).status()).toEqual({ kind: 'open' });
  expect(lines).toEqual([]);
  const warning = 'the local API listens on 0.0.0.0 without an access file: everybody who reaches it may use it';
  expect((await open('0.0.0.0')).status()).toEqual({ kind: 'open', warning });
  expect(lines).toMatchObject([{ level: 'warn', message: warning }]);
});

test('the command makes a key whose entry an access file takes, and checks the file', async () => {
  let out = '';
  const spied = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  onTestFinished(() => spied.mockRestore());
  await buildProgram().parseAsync(['node', 'skerry-agent', 'access', 'key', '--name', 'camera', '--role', 'caller']);
  expect(out).toMatch(/: skerry_[\w-]{43}\n/);
  const file = join(await tempFolder(), 'access.yaml');
  const roles = 'roles: { caller: { allow: [{ calls: [inference] }] } }';
  const [, entry] = out.split('in the access file:\n');
  await writeFile(file, `schema: skerry.access/1\n${roles}\nkeys:\n${entry}`);
  out = '';
  await buildProgram().parseAsync(['node', 'skerry-agent', 'access', 'check', file]);
  expect(out).toBe(`${file} is valid: 1 key.\n`);
  await writeFile(file, `schema: skerry.access/1\nkeys:\n${entry}`);
  const checked = buildProgram().parseAsync(['node', 'skerry-agent', 'access', 'check', file]);
  await expect(checked).rejects.toMatchObject({ code: 'SERVE_ACCESS_FILE' });
  const { status } = await openGuarding(new Parts(), {
    config: { httpHost: '0.0.0.0', accessFile: await written(roles) },
    clock: new VirtualClock(),
    logger: recordingLogger().logger,
  });
  expect(status()).toMatchObject({ kind: 'file', keys: 0, readAt: '2026-01-01T00:00:00.000Z' });
});

async function written(rest: string): Promise<string> {
  const file = join(await tempFolder(), 'access.yaml');
  await writeFile(file, `schema: skerry.access/1\n${rest}\n`);
  return file;
}

test('addresses are shown, and counted by what one client has of them', () => {
  expect(['::ffff:10.0.0.1', '10.0.0.1', '::1'].map(shownAddress)).toEqual(['10.0.0.1', '10.0.0.1', '::1']);
  expect(['::ffff:10.0.0.1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::9', '2001:db8::1', '::1', 'fe80::1%eth0'].map(networkOf)).toEqual([
    '10.0.0.1',
    '2001:db8:1:2::/64',
    '2001:db8:1:2::/64',
    '2001:db8:0:0::/64',
    '0:0:0:0::/64',
    'fe80:0:0:0::/64',
  ]);
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost', '::ffff:127.0.0.1', '0.0.0.0', '::', '10.0.0.1'].map(isLoopback)).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
