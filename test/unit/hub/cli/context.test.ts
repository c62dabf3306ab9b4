import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { type Env, loginFile, resolveHub, saveLogin } from '#hub/cli/context.js';
import { coded } from '../../../kit/coded.js';
import { tempFolder } from '../../../kit/temp-folder.js';

let env: Env;
beforeEach(async () => {
  env = { HOME: await tempFolder() };
});

test('nothing known is an error that says what to do', async () => {
  await expect(resolveHub({}, env)).rejects.toEqual(coded('LOGIN_MISSING', 'no hub'));
  await expect(resolveHub({ hub: 'http://a' }, env)).rejects.toEqual(coded('LOGIN_MISSING', 'no token is known for http://a'));
});

test('a flag wins over the environment, that over the saved login', async () => {
  await saveLogin(env, { url: 'http://saved:1', token: 'saved' });
  expect(await resolveHub({}, env)).toEqual({ url: 'http://saved:1', token: 'saved' });
  const variables = { ...env, SKERRY_HUB: 'http://env:1', SKERRY_TOKEN: 'env' };
  expect(await resolveHub({}, variables)).toEqual({ url: 'http://env:1', token: 'env' });
  expect(await resolveHub({ hub: 'http://flag:1', token: 'flag' }, variables)).toEqual({ url: 'http://flag:1', token: 'flag' });
});

test('the saved token is readable by its user only, and goes to its own hub only', async () => {
  await saveLogin(env, { url: 'http://saved:1', token: 'saved' });
  expect(((await stat(loginFile(env))).mode & 0o777).toString(8)).toBe('600');
  expect(await resolveHub({ hub: 'http://saved:1/' }, env)).toEqual({ url: 'http://saved:1/', token: 'saved' });
  await expect(resolveHub({ hub: 'http://other:1' }, env)).rejects.toEqual(coded('LOGIN_MISSING', 'http://other:1'));
});

test('an address that is none is refused', async () => {
  await expect(resolveHub({ hub: 'ftp://a', token: 't' }, env)).rejects.toEqual(coded('CONFIG_INVALID', 'ftp://a'));
  await mkdir(join(env['HOME'] ?? '', '.config', 'skerry'), { recursive: true });
  await writeFile(loginFile(env), '{"hub": "nowhere"}');
  await expect(resolveHub({}, env)).rejects.toEqual(coded('CONFIG_INVALID', 'login.json'));
});

test('a hub of this user that runs with its default data folder is found', async () => {
  const data = join(env['HOME'] ?? '', '.local', 'share', 'skerry', 'hub');
  await mkdir(data, { recursive: true });
  const state = {
    pid: 1,
    version: '0',
    fleet: 'main',
    startedAt: '2026-01-01T00:00:00Z',
    httpUrl: 'http://127.0.0.1:9',
    mqttUrl: 'mqtt://127.0.0.1:8',
    broker: 'embedded',
  };
  await writeFile(join(data, 'hub.json'), JSON.stringify(state));
  await writeFile(join(data, 'admin.token'), 'local\n');
  expect(await resolveHub({}, env)).toEqual({ url: 'http://127.0.0.1:9', token: 'local' });
});
