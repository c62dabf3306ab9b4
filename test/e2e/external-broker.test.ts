import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, watch, writeFileSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAsync, type MqttClient } from 'mqtt';
import { HUB_USER } from '#hub/broker/embedded.js';
import { mosquittoAcl, mosquittoHash, mosquittoPasswordFile } from '#hub/broker/mosquitto.js';
import { type DeviceChannel, deviceTopic } from '#shared/protocol/topics.js';
import { mosquittoMissing } from '../kit/brokers.js';
import { freePort } from '../kit/fleet.js';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import { expectCounted, predict, X } from './counting.js';
import { World } from './world.js';

const missing = mosquittoMissing();

describe.skipIf(missing !== undefined)(
  `the whole way through a real mosquitto${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let world: World;
    let mosquitto: Mosquitto;

    beforeAll(async () => {
      mosquitto = await Mosquitto.start();
      world = await World.start({ hubArgs: mosquitto.hubArgs });
    });
    afterAll(async () => {
      await world.close();
      await mosquitto.close();
    });

    it('publishes, deploys, predicts and counts, over a death of the broker as well', async () => {
      const device = await world.enrol('m1');
      await world.publish('m', 1, affineModel(), ['--samples', '1']);
      const { code } = await until('the device to be let in', async () => {
        if (!device.launched) await device.start();
        await device.online(5_000);
        return world.run(['deploy', 'm@1', '--all', '--wait']);
      });
      expect(code).toBe(0);
      await predict(device, 12);
      await expectCounted(world, device, 12);

      await mosquitto.kill();
      await predict(device, 5);
      await mosquitto.run();
      await predict(device, 3);
      await expectCounted(world, device, 20);

      await world.publish('m', 2, affineModel({ scale: 3 }), ['--samples', '1']);
      expect((await world.run(['deploy', 'm@2', '--all', '--wait'])).code).toBe(0);
      expect(await device.predict('m', X)).toMatchObject({ version: 2, y: [4, 7, 10, 13] });
      await device.stop();
    });

    it('reads the files as its own user, and nobody else does', async () => {
      for (const name of ['acl', 'passwords']) {
        const { mode, gid } = await stat(path.join(mosquitto.folder, name));
        expect([name, mode & 0o007, gid]).toEqual([name, 0, mosquitto.gid]);
      }
    });

    it('keeps nothing of a device that was removed, whatever comes in after that', async () => {
      const device = await world.enrol('gone');
      await until('the device to be let in', async () => {
        if (!device.launched) await device.start();
        await device.online(5_000);
        return true;
      });
      await until('what it leaves', async () => (await mosquitto.retained('gone')).length >= 3);
      expect((await world.run(['device', 'remove', 'gone', '--yes'])).code).toBe(0);
      expect(await readFile(path.join(mosquitto.folder, 'passwords'), 'utf8')).not.toContain('gone:');
      await until('it to be cut off', async () => (await device.status()).link.kind === 'offline');
      await until('nothing to be left', async () => (await mosquitto.retained('gone')).length === 0);
      // The hub clears what comes while it is away, too.
      await mosquitto.leave('gone', 'presence');
      await until('that to be cleared', async () => (await mosquitto.retained('gone')).length === 0);
      await device.stop();
    });

    it('lets no device in under a wrong password', async () => {
      const device = await world.enrol('m2');
      await device.forgetPassword();
      await device.start();
      await until('the device to say so', async () => {
        const { link } = await device.status();
        return link.kind === 'offline' && link.reason !== undefined && /authori[sz]ed|refused/i.test(link.reason);
      });
      await device.stop();
    });
  },
);

const PASSWORD = 'password of the hub';

/** The user that the packages of mosquitto make for it, where the test may change to that; the one who runs the test otherwise. */
function mosquittoUser(): { readonly name: string; readonly gid: number } {
  const own = { name: os.userInfo().username, gid: process.getgid?.() ?? 0 };
  if (process.getuid?.() !== 0) return own;
  try {
    return { name: 'mosquitto', gid: Number(execFileSync('id', ['-g', 'mosquitto'], { encoding: 'utf8', stdio: 'pipe' })) };
  } catch {
    return own;
  }
}

/** A mosquitto that knows the devices by the files the hub writes, and reads them again when they change, as an operator would arrange it. */
class Mosquitto {
  /** Not in the folder of the test run, which other users cannot enter. */
  readonly #root = mkdtempSync('/tmp/skerry-mosquitto-');
  /** The folder that docs/OPERATIONS.md says how to make. */
  readonly folder = path.join(this.#root, 'skerry');
  /** Whom mosquitto runs as. */
  readonly #user = mosquittoUser();
  readonly #port: number;
  readonly #watcher: { close(): void };
  #child: ChildProcess | undefined;

  private constructor(port: number) {
    this.#port = port;
    const password = PASSWORD;
    chmodSync(this.#root, 0o755);
    mkdirSync(this.folder);
    chownSync(this.folder, process.getuid?.() ?? 0, this.gid);
    chmodSync(this.folder, 0o2750);
    writeFileSync(path.join(this.#root, 'hub-password'), password, { mode: 0o600 });
    for (const [name, text] of [
      ['acl', mosquittoAcl('main', HUB_USER)],
      ['passwords', mosquittoPasswordFile([{ username: HUB_USER, hash: mosquittoHash(password) }])],
    ] as const) {
      writeFileSync(path.join(this.folder, name), text, { mode: 0o640 });
      chownSync(path.join(this.folder, name), process.getuid?.() ?? 0, this.gid);
    }
    this.#watcher = watch(this.folder, (_event, file) => {
      if (file === 'acl' || file === 'passwords') this.#child?.kill('SIGHUP');
    });
  }

  static async start(): Promise<Mosquitto> {
    const mosquitto = new Mosquitto(await freePort());
    await mosquitto.run();
    return mosquitto;
  }

  get hubArgs(): readonly string[] {
    const files = ['--mqtt-password-file', path.join(this.#root, 'hub-password'), '--mosquitto-files', this.folder];
    return ['--mqtt-url', `mqtt://127.0.0.1:${this.#port}`, '--mqtt-username', HUB_USER, ...files];
  }

  get gid(): number {
    return this.#user.gid;
  }

  /** Topics retained for or by a device. */
  async retained(device: string): Promise<string[]> {
    const client = await this.#asHub();
    const topics: string[] = [];
    client.on('message', (topic, payload, { retain }) => {
      if (retain && payload.length > 0 && topic.includes(`/${device}/`)) topics.push(topic);
    });
    await client.subscribeAsync('skerry/#');
    // The broker answers the ping after all it had retained.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await client.endAsync();
    return topics;
  }

  /** As the will of a session that was cut would. */
  async leave(device: string, channel: DeviceChannel): Promise<void> {
    const client = await this.#asHub();
    await client.publishAsync(deviceTopic('main', device, channel), 'x', { retain: true, qos: 1 });
    await client.endAsync();
  }

  #asHub(): Promise<MqttClient> {
    return connectAsync(`mqtt://127.0.0.1:${this.#port}`, { username: HUB_USER, password: PASSWORD, protocolVersion: 4 });
  }

  async run(): Promise<void> {
    const settings = [
      `listener ${this.#port} 127.0.0.1`,
      'allow_anonymous false',
      `acl_file ${path.join(this.folder, 'acl')}`,
      `password_file ${path.join(this.folder, 'passwords')}`,
      'persistence false',
      `user ${this.#user.name}`,
      '',
    ];
    const file = path.join(this.#root, 'mosquitto.conf');
    await writeFile(file, settings.join('\n'));
    this.#child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async close(): Promise<void> {
    this.#watcher.close();
    await this.kill();
    rmSync(this.#root, { recursive: true });
  }
}
