import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startHub } from '#hub/app.js';
import { HubClient } from '#hub/cli/client.js';
import { loadHubConfig } from '#hub/config.js';
import { createdEnrolmentTokenSchema } from '#hub/fleet/enrolment-view.js';
import { enrollResponseSchema } from '#shared/protocol/enrolment.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { encodeTrustUpdate, hubPublicKeysSchema } from '#shared/trust/update.js';
import { z } from 'zod';
import { connectDevice, mosquittoMissing } from '../../kit/brokers.js';
import { freePort } from '../../kit/fleet.js';
import { enrolRequest } from '../../kit/fleet-hub.js';
import { recordingLogger } from '../../kit/recorder.js';
import { SigningPublisher } from '../../kit/signing-publisher.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { until } from '../../kit/until.js';

async function startMosquitto(folder: string, files: string, port: number, pidFile: string): Promise<void> {
  const settings = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous false',
    'use_username_as_clientid true',
    `acl_file ${join(files, 'acl')}`,
    `password_file ${join(files, 'passwords')}`,
    'user root',
    `pid_file ${pidFile}`,
    '',
  ];
  await writeFile(join(folder, 'mosquitto.conf'), settings.join('\n'));
  const child = spawn('mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
}

test('with an external mosquitto the hub waits for it, writes what it has to know and has it read, and devices get in', async (context) => {
  const missing = mosquittoMissing();
  context.skip(missing !== undefined, missing);
  const folder = await tempFolder();
  const [data, files, port] = [join(folder, 'hub'), join(folder, 'broker'), await freePort()];
  const pidFile = join(folder, 'mosquitto.pid');
  await writeFile(join(folder, 'password'), 'a password of the hub\n');
  const config = await loadHubConfig({
    flags: {
      dataDir: data,
      httpPort: '0',
      mqttUrl: `mqtt://127.0.0.1:${port}`,
      mqttPasswordFile: join(folder, 'password'),
      mosquittoDir: files,
      mosquittoReload: `kill -HUP "$(cat '${pidFile}')"`,
    },
    env: {},
  });
  const hub = await startHub({ config, env: {}, logger: recordingLogger().logger });
  onTestFinished(() => hub.close());
  const status = async (): Promise<number> => (await fetch(`${hub.state.httpUrl}/readyz`)).status;
  expect([hub.state.broker, await status()]).toEqual(['external', 503]);

  await startMosquitto(folder, files, port, pidFile);
  await until('the hub to find the broker', async () => (await status()) === 200);

  const client = new HubClient({ url: hub.state.httpUrl, token: (await readFile(join(data, 'admin.token'), 'utf8')).trim() });
  const keys = await client.get(hubPublicKeysSchema, '/api/v1/trust/hub-keys');
  await client.put(z.unknown(), '/api/v1/trust/root', encodeTrustUpdate(await new SigningPublisher(folder).init(keys)));
  const { token } = await client.post(createdEnrolmentTokenSchema, '/api/v1/enrolment-tokens', { name: 'one' });
  const enrolled = await client.post(enrollResponseSchema, '/api/v1/enroll', enrolRequest({ token }));
  expect(enrolled.mqtt.url).toBe(`mqtt://127.0.0.1:${port}`);

  const device = await until('mosquitto to read the passwords again', () => connectDevice(port, enrolled.device, enrolled.mqtt.password));
  onTestFinished(() => device.endAsync(true));
  const granted = await device.subscribeAsync(deviceTopic('main', enrolled.device, 'desired'), { qos: 1 });
  expect(granted).toMatchObject([{ qos: 1 }]);
});
