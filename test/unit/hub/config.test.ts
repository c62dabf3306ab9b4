import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HUB_SETTINGS, loadHubConfig, settingEntries } from '#hub/config.js';
import { coded } from '../../kit/coded.js';
import { tempFolder } from '../../kit/temp-folder.js';

test('without anything said every setting has its default', async () => {
  const config = await loadHubConfig({ flags: {}, env: { HOME: '/nobody' } });
  expect(config).toEqual({
    dataDir: '/nobody/.local/share/skerry/hub',
    fleet: 'main',
    httpHost: '127.0.0.1',
    httpPort: 7480,
    mqttHost: '127.0.0.1',
    mqttPort: 1883,
    auditDays: 400,
    eventDays: 90,
    metricDays: 90,
    deviceStep: 300_000,
    rolloutLook: 5000,
    logLevel: 'info',
  });
});

test('a flag wins over the environment, that over the file, that over the default', async () => {
  const folder = await tempFolder();
  await writeFile(join(folder, 'hub.yaml'), 'http-port: 1\nmqtt-port: 2\naudit-days: 3\n');
  const env = { SKERRY_HUB_HTTP_PORT: '4', SKERRY_HUB_MQTT_PORT: '5', SKERRY_HUB_FLEET: '' };
  const config = await loadHubConfig({ flags: { dataDir: folder, httpPort: '6' }, env });
  expect(config).toMatchObject({ httpPort: 6, mqttPort: 5, auditDays: 3, fleet: 'main', dataDir: folder });
});

test('every bad setting is named, with where it came from', async () => {
  const folder = await tempFolder();
  await writeFile(join(folder, 'hub.yaml'), 'log-level: loud\n');
  const loading = loadHubConfig({ flags: { dataDir: folder, httpPort: '70000' }, env: { SKERRY_HUB_FLEET: 'Not A Fleet' } });
  await expect(loading).rejects.toEqual(coded('CONFIG_INVALID', /--http-port.*|SKERRY_HUB_FLEET/));
  const error: unknown = await loading.catch((cause: unknown) => cause);
  expect(String(error)).toContain('--http-port: a whole number from 0 to 65535');
  for (const source of ['--http-port', 'SKERRY_HUB_FLEET', '"log-level" in the settings file']) expect(String(error)).toContain(source);
});

test.each([
  ['an unknown setting', 'colour: red\n', 'colour'],
  ['no table', '- a\n- b\n', 'not a table'],
  ['no YAML', 'a: [', 'neither YAML nor JSON'],
])('a settings file with %s is refused', async (_what, text, says) => {
  const file = join(await tempFolder(), 'settings.yaml');
  await writeFile(file, text);
  await expect(loadHubConfig({ flags: {}, env: {}, configFile: file })).rejects.toEqual(coded('CONFIG_INVALID', says));
});

test('a settings file that was named has to be there', async () => {
  await expect(loadHubConfig({ flags: {}, env: {}, configFile: '/absent.yaml' })).rejects.toEqual(coded('CONFIG_INVALID', '/absent.yaml'));
});

test('a certificate needs its key', async () => {
  const flags = { tlsCertFile: 'cert.pem', dataDir: await tempFolder() };
  await expect(loadHubConfig({ flags, env: {} })).rejects.toEqual(coded('CONFIG_INVALID', '--tls-cert: must be set together with tls-key'));
});

test('flags and variables are told apart', () => {
  const entries = settingEntries().map(([, entry]) => entry);
  expect(entries).toHaveLength(Object.keys(HUB_SETTINGS).length);
  expect(new Set(entries.map((entry) => entry.flag)).size).toBe(entries.length);
  expect(new Set(entries.map((entry) => entry.env)).size).toBe(entries.length);
});
