import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { hashPassword } from '#hub/broker/credentials.js';
import { EmbeddedBroker, HUB_USER } from '#hub/broker/embedded.js';
import { mosquittoAcl, mosquittoHash, mosquittoPasswordFile } from '#hub/broker/mosquitto.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { until } from './until.js';

/** A real broker under test: the embedded one or a mosquitto process, each with the same users and rules. */
export interface TestBroker {
  readonly name: string;
  readonly port: number;
  /** How the hub connects to it. */
  readonly hub: () => { readonly url: string; readonly username: string; readonly password: string };
  /** Ends it and starts a fresh one on the same port for devices; everything retained is forgotten. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface BrokerUsers {
  readonly fleet: string;
  /** Device id to password. */
  readonly devices: ReadonlyMap<string, string>;
}

export async function startEmbedded(users: BrokerUsers): Promise<TestBroker> {
  const make = (port: number): EmbeddedBroker =>
    new EmbeddedBroker({
      fleet: users.fleet,
      listen: { host: '127.0.0.1', port },
      logger: silentLogger,
      fetchPolicy: { mayFetch: (device) => Promise.resolve(users.devices.has(device)) },
      credentials: {
        isCopy: () => Promise.resolve(false),
        passwordHash: (device) => {
          const password = users.devices.get(device);
          return Promise.resolve(password === undefined ? undefined : hashPassword(password));
        },
      },
    });
  let broker = make(0);
  await broker.start();
  const { port } = broker;
  return {
    name: 'embedded',
    port,
    hub: () => broker.hubConnection,
    async restart() {
      await broker.close();
      broker = make(port);
      await broker.start();
    },
    close: () => broker.close(),
  };
}

/** Why mosquitto can not be used here; `undefined` when it can. */
export function mosquittoMissing(): string | undefined {
  const probe = spawnSync('mosquitto', ['-h'], { stdio: 'ignore' });
  return probe.error === undefined ? undefined : 'no mosquitto binary on this machine';
}

export async function startMosquitto(users: BrokerUsers): Promise<TestBroker> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-mosquitto-'));
  const port = await freePort();
  const hubPassword = 'hub-password-of-a-test';
  const entries = [...users.devices, [HUB_USER, hubPassword] as const].map(([username, password]) => ({
    username,
    hash: mosquittoHash(password),
  }));
  writeFileSync(path.join(folder, 'acl'), mosquittoAcl(users.fleet, HUB_USER), { mode: 0o600 });
  writeFileSync(path.join(folder, 'passwords'), mosquittoPasswordFile(entries), { mode: 0o600 });
  const settings = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous false',
    'use_username_as_clientid true',
    `acl_file ${path.join(folder, 'acl')}`,
    `password_file ${path.join(folder, 'passwords')}`,
    'persistence false',
    // As root mosquitto would change to a user that can not read the folder.
    'user root',
    '',
  ];
  writeFileSync(path.join(folder, 'mosquitto.conf'), settings.join('\n'));
  chmodSync(folder, 0o700);
  const run = async (): Promise<ChildProcess> => {
    const child = spawn('mosquitto', ['-c', path.join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
    await until('mosquitto to listen', async () => {
      const probe = await connectAsync(`mqtt://127.0.0.1:${port}`, { ...hubLogin(hubPassword), reconnectPeriod: 0, connectTimeout: 1_000 });
      await probe.endAsync(true);
      return true;
    });
    return child;
  };
  let child = await run();
  // A test run that ends in the middle must not leave a broker behind.
  const onExit = (): void => {
    child.kill('SIGKILL');
  };
  process.on('exit', onExit);
  const end = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  return {
    name: 'mosquitto',
    port,
    hub: () => ({ url: `mqtt://127.0.0.1:${port}`, ...hubLogin(hubPassword) }),
    async restart() {
      await end();
      child = await run();
    },
    async close() {
      process.off('exit', onExit);
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A device as a plain MQTT client, without anything of the agent. */
export function connectDevice(port: number, device: string, password: string, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${port}`, {
    clientId: device,
    username: device,
    password,
    protocolVersion: 4,
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    ...options,
  });
}

function hubLogin(password: string): { username: string; password: string } {
  return { username: HUB_USER, password };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}
