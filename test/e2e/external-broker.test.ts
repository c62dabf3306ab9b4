import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, watch, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HUB_USER } from '#hub/broker/embedded.js';
import { mosquittoAcl, mosquittoHash, mosquittoPasswordFile } from '#hub/broker/mosquitto.js';
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

/** A mosquitto that knows the devices by the files the hub writes, and reads them again when they change, as an operator would arrange it. */
class Mosquitto {
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-mosquitto-'));
  readonly #port: number;
  readonly #watcher: { close(): void };
  #child: ChildProcess | undefined;

  private constructor(port: number) {
    this.#port = port;
    const password = 'password of the hub';
    writeFileSync(path.join(this.#folder, 'hub-password'), password, { mode: 0o600 });
    writeFileSync(path.join(this.#folder, 'acl'), mosquittoAcl('main', HUB_USER), { mode: 0o600 });
    writeFileSync(path.join(this.#folder, 'passwords'), mosquittoPasswordFile([{ username: HUB_USER, hash: mosquittoHash(password) }]), {
      mode: 0o600,
    });
    this.#watcher = watch(this.#folder, (_event, file) => {
      if (file === 'acl' || file === 'passwords') this.#child?.kill('SIGHUP');
    });
  }

  static async start(): Promise<Mosquitto> {
    const mosquitto = new Mosquitto(await freePort());
    await mosquitto.run();
    return mosquitto;
  }

  get hubArgs(): readonly string[] {
    const files = ['--mqtt-password-file', path.join(this.#folder, 'hub-password'), '--mosquitto-files', this.#folder];
    return ['--mqtt-url', `mqtt://127.0.0.1:${this.#port}`, '--mqtt-username', HUB_USER, ...files];
  }

  async run(): Promise<void> {
    const settings = [
      `listener ${this.#port} 127.0.0.1`,
      'allow_anonymous false',
      `acl_file ${path.join(this.#folder, 'acl')}`,
      `password_file ${path.join(this.#folder, 'passwords')}`,
      'persistence false',
      // As root mosquitto would change to a user that cannot read the folder.
      'user root',
      '',
    ];
    const file = path.join(this.#folder, 'mosquitto.conf');
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
    rmSync(this.#folder, { recursive: true });
  }
}
