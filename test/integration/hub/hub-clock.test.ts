import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { auditListSchema } from '#hub/api/views.js';
import { type Hub, startHub } from '#hub/app.js';
import { HubClient } from '#hub/cli/client.js';
import { clockStatusSchema } from '#hub/clock/clock-view.js';
import { loadHubConfig } from '#hub/config.js';
import { deviceListSchema } from '#hub/fleet/device-view.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { initTrust } from '#hub/publisher/trust-keeper.js';
import { days, hours } from '#shared/kernel/time.js';
import { KEY_FILE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import { encodeTrustUpdate, hubPublicKeysSchema } from '#shared/trust/update.js';
import { issuedAt } from '#shared/trust/decide/update-walk.js';
import { coded } from '../../kit/coded.js';
import { recordingLogger } from '../../kit/recorder.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { ShiftedClock } from '../../kit/trust-world.js';

test('18 D: a hub that starts with its clock years ahead signs nothing, says so, and goes on once the clock is right, or is said to be', async () => {
  const data = join(await tempFolder(), 'hub');
  const clock = new ShiftedClock();
  const start = async (): Promise<{ hub: Hub; client: HubClient }> => {
    const config = await loadHubConfig({ flags: { dataDir: data, httpPort: '0', mqttPort: '0' }, env: {} });
    const hub = await startHub({ config, env: {}, logger: recordingLogger().logger, clock });
    onTestFinished(() => hub.close());
    const token = (await readFile(join(data, 'admin.token'), 'utf8')).trim();
    return { hub, client: new HubClient({ url: hub.state.httpUrl, token }) };
  };
  const timestamp = async (client: HubClient) => {
    const file = parseMetadata('timestamp', await client.bytes('/api/v1/trust/metadata/timestamp.json'));
    return { version: file.version, at: issuedAt(file) ?? 0 };
  };
  const deploy = (client: HubClient) =>
    client.post(clockStatusSchema, '/api/v1/deployments', { model: 'm', version: 1, selector: '', retry: false, supersede: false });

  const first = await start();
  const keys = await first.client.get(hubPublicKeysSchema, '/api/v1/trust/hub-keys');
  const folder = new PublisherFolder(await tempFolder(), { cost: KEY_FILE_COST });
  const update = await initTrust({
    folder,
    secret: passphraseSecret('correct horse'),
    clock,
    hub: keys,
    publisher: { role: 'acme', models: ['*'] },
  });
  await first.client.put(z.unknown(), '/api/v1/trust/root', encodeTrustUpdate(update));
  const before = await timestamp(first.client);
  await first.hub.close();

  clock.shift = days(3_000);
  const second = await start();
  expect(await timestamp(second.client)).toEqual(before);
  await expect(deploy(second.client)).rejects.toThrow(coded('HUB_CLOCK_SUSPECT'));
  expect(await second.client.get(clockStatusSchema, '/api/v1/hub/clock')).toMatchObject({ state: 'suspect' });
  const { notice } = await second.client.get(deviceListSchema, '/api/v1/devices');
  expect(notice).toMatch(/3000 d .*ahead.*skerry hub clock/);
  await second.hub.close();

  clock.shift = hours(5);
  const third = await start();
  await expect(deploy(third.client)).rejects.toThrow(coded('VERSION_UNKNOWN'));
  expect((await timestamp(third.client)).version).toBe(before.version + 1);
  await third.hub.close();

  // It was off for months, and nobody is there to vouch for it.
  clock.shift = days(90);
  const fourth = await start();
  await expect(deploy(fourth.client)).rejects.toThrow(coded('HUB_CLOCK_SUSPECT'));
  expect(await fourth.client.post(clockStatusSchema, '/api/v1/hub/clock/confirm', {})).toMatchObject({ state: 'credible', reason: null });
  await expect(deploy(fourth.client)).rejects.toThrow(coded('VERSION_UNKNOWN'));
  expect((await timestamp(fourth.client)).at).toBeGreaterThan(before.at + days(80));
  const { records } = await fourth.client.get(auditListSchema, '/api/v1/audit', { limit: 10 });
  expect(records.map(({ action }) => action)).toContain('hub:clock');
});
