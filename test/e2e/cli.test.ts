import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import { type CommandResult, PROJECT_ROOT } from '../kit/processes.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

/** The documented commands, in the order a person types them; each once for people and once for scripts. */
describe('the commands of the README', () => {
  let world: World;
  let device: Device;

  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(() => world.close());

  const skerry = (...args: string[]): Promise<CommandResult> => world.run(args);
  const agent = (...args: string[]): Promise<CommandResult> => world.processes.run('skerry-agent', [...args, '--data', device.data]);
  const json = (result: CommandResult): unknown => {
    expect(result).toMatchObject({ code: 0 });
    return JSON.parse(result.stdout);
  };
  const keys = (): string[] => ['--keys', world.fleet.publisherFolder, '--passphrase-file', path.join(world.folder, 'passphrase')];

  it('skerry hub: says where it is, once ready', async () => {
    const log = await world.fleet.hubProcess.log();
    expect(log).toContain(world.fleet.hub.url);
    expect(log).toContain('admin.token');
    expect(json(await skerry('trust', 'show', '--json'))).toMatchObject({
      roles: [{ role: 'root', version: 1 }, {}, {}, {}, { role: 'publisher', models: ['*'] }],
    });
  });

  it('skerry publish: once, and the same again changes nothing; other content under a taken number is refused', async () => {
    const files = { one: path.join(world.folder, 'one.onnx'), other: path.join(world.folder, 'other.onnx') };
    await writeFile(files.one, affineModel());
    await writeFile(files.other, affineModel({ scale: 5 }));
    expect(json(await skerry('inspect', files.one, '--json'))).toMatchObject({ inputs: [{ name: 'x' }], outputs: [{ name: 'y' }] });
    const publish = (file: string, ...args: string[]): Promise<CommandResult> =>
      skerry('publish', file, '--name', 'm', '--version', '1', '--samples', '1', ...keys(), ...args);
    expect(json(await publish(files.one, '--json'))).toMatchObject({ model: 'm', version: 1, created: true });
    const again = await publish(files.one);
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain('already published as m@1');
    const taken = await publish(files.other, '--json');
    expect([taken.code, taken.stdout]).toEqual([1, '']);
    expect(JSON.parse(lastLine(taken.stderr))).toMatchObject({ code: 'VERSION_CONFLICT' });
  });

  it('skerry token create, skerry-agent enroll, skerry-agent run', async () => {
    const { code, stdout } = await skerry('token', 'create', 'enrolment', '--name', 'first');
    expect(code).toBe(0);
    device = await world.enrol('first', { labels: { site: 'lab' } });
    expect(stdout.trim()).toMatch(/^\S+$/);
    const twice = await agent('enroll', '--hub', world.fleet.hub.url, '--token', stdout.trim());
    expect(twice.code).toBe(1);
    expect(twice.stderr).toContain('[SYNC_ALREADY_ENROLLED]');
    const absent = await agent('status');
    expect([absent.code, absent.stderr]).toEqual([1, expect.stringContaining('[AGENT_NOT_RUNNING]')]);
    await device.start();
    await device.online();
  });

  it('skerry device list and show', async () => {
    const devices = await until('the hub to know the device', async () => {
      const { devices: listed } = json(await skerry('device', 'list', '--json')) as {
        devices: { id: string; presence: { state: string } }[];
      };
      return listed[0]?.presence.state === 'online' && listed;
    });
    expect(devices).toMatchObject([{ id: 'first', labels: { site: 'lab' } }]);
    expect((await skerry('device', 'list', '--selector', 'site=lab')).stdout).toMatch(/first.*site=lab|first.*online/);
    expect(json(await skerry('device', 'show', 'first', '--json'))).toMatchObject({ id: 'first' });
    const unknown = await skerry('device', 'show', 'nobody');
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('[DEVICE_UNKNOWN]')]);
  });

  it('skerry deploy: waits, and its exit code tells how it went', async () => {
    const done = await skerry('deploy', 'm@1', '--to', 'site=lab', '--wait', '--json');
    expect(json(done)).toMatchObject({ model: 'm', version: 1, counts: { serving: 1 } });
    expect((await skerry('deploy', 'm@9', '--to', 'site=lab')).code).toBe(1);
    expect((await skerry('deploy', 'm@1')).code).toBe(2);
    expect((await skerry('deploy', 'm@1', '--to', 'not a ((selector')).code).toBe(1);
    expect((await skerry('deploy', 'm@1', '--to', 'site=moon', '--wait')).code).toBe(1);
  });

  it('skerry-agent status, models, predict, doctor', async () => {
    await device.installed('m', 1, 'good');
    expect(json(await agent('status', '--json'))).toMatchObject({ reported: { device: 'first', models: [{ model: 'm', serving: 1 }] } });
    expect((await agent('status')).stdout).toMatch(/first.*\n[^]*online[^]*m +1 +yes/);
    expect(json(await agent('models', '--json'))).toMatchObject([{ model: 'm', serving: 1 }]);
    expect((await agent('predict', 'm', '--input', 'x=[[1, 2, 3, 4]]')).stdout).toMatch(/m@1[^]*y .*3 5 7 9/);
    const request = path.join(world.folder, 'request.json');
    await writeFile(request, JSON.stringify({ inputs: { x: [[1, 2, 3, 4]] } }));
    expect(json(await agent('predict', 'm', '--file', request, '--json'))).toMatchObject({
      model_name: 'm',
      outputs: [{ name: 'y', data: [3, 5, 7, 9] }],
    });
    const wrong = await agent('predict', 'm', '--input', 'x=[[1, 2]]');
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/-1,4[^]*\[TENSOR_SHAPE\]/)]);
    expect((await agent('predict', 'm')).code).toBe(2);
    expect((await agent('predict', 'nothing', '--input', 'x=1')).stderr).toContain('[INFERENCE_MODEL_UNKNOWN]');
    expect(await agent('doctor')).toMatchObject({ code: 0, stdout: expect.stringContaining('runtime') as unknown });
  });

  it('skerry metrics, events, model, audit', async () => {
    await until('the predictions to arrive', async () => {
      const { versions } = json(await skerry('metrics', 'm', '--json')) as {
        versions: { predictions: number; errors: { count: number }[] }[];
      };
      const [version] = versions;
      const failed = version?.errors.reduce((sum, { count }) => sum + count, 0) ?? 0;
      return version !== undefined && version.predictions - failed === 2;
    });
    expect((await skerry('metrics', 'm')).stdout).toMatch(/p50|median/i);
    const events = (await skerry('events', '--json')).stdout;
    expect(events).toContain('version.served');
    expect(json(await skerry('model', 'list', '--json'))).toMatchObject({ models: [{ name: 'm', newest: 1 }] });
    expect((await skerry('audit')).stdout).toMatch(/deploy/i);
    expect(json(await skerry('openapi'))).toMatchObject({ openapi: expect.stringMatching(/^3\./) as unknown });
  });

  it('skerry trust show, and the hub itself, say when signatures end', async () => {
    const { roles } = (await world.fleet.command(['trust', 'show'])) as { roles: readonly { role: string; expires: string }[] };
    expect(roles.map(({ role }) => role)).toEqual(['root', 'targets', 'snapshot', 'timestamp', 'publisher']);
    const lines = (
      await (await fetch(`${world.fleet.hub.url}/metrics`, { headers: { authorization: `Bearer ${world.fleet.hub.token}` } })).text()
    )
      .split('\n')
      .filter((line) => line.startsWith('skerry_hub_trust_expires_seconds{'));
    const days = new Map(lines.map((line) => [/role="([a-z]+)"/.exec(line)?.[1], Number(line.split(' ')[1]) / 86_400]));
    expect(days.get('publisher')).toBeGreaterThan(364);
    expect(days.get('timestamp')).toBeLessThanOrEqual(1);
  });

  it('skerry rollout exclude, deployment, undeploy, model delete', async () => {
    await world.publish('m', 2, affineModel({ scale: 3 }), ['--samples', '1']);
    const draft = async (): Promise<string> =>
      (json(await skerry('rollout', 'create', 'm@2', '--all', '--draft', '--json')) as { id: string }).id;
    const excluded = await skerry('rollout', 'exclude', await draft(), 'first', '--reason', 'in repair');
    expect(excluded).toMatchObject({ code: 0, stdout: expect.stringContaining('m@2') as unknown });
    const rollout = await draft();
    expect(json(await skerry('rollout', 'exclude', rollout, 'first', '--json'))).toMatchObject({ id: rollout });
    expect((await skerry('rollout', 'exclude', rollout, 'nobody')).code).toBe(1);

    const listed = json(await skerry('deployment', 'list', '--json')) as { deployments: { id: number; selector: string }[] };
    const { id: moon } = listed.deployments.find(({ selector }) => selector === 'site=moon') ?? { id: 0 };
    expect((await skerry('deployment', 'list')).stdout).toMatch(/m@1 +site=moon/);
    expect((await skerry('deployment', 'show', `${moon}`)).stdout).toMatch(/^deployment \d+: m@1 to site=moon\nmade .*\n[^]*No device/);
    expect(json(await skerry('deployment', 'show', `${moon}`, '--json'))).toMatchObject({ id: moon, devices: [] });
    expect((await skerry('deployment', 'show', 'twelve')).code).toBe(2);
    const other = await world.deploy('m@1', 'site=mars');
    expect(json(await skerry('deployment', 'remove', `${other}`, '--yes', '--json'))).toMatchObject({ takenOff: [], kept: [] });
    const removed = await skerry('deployment', 'remove', `${moon}`, '--yes');
    expect(removed.stdout).toContain(`Withdrew deployment ${moon} (m@1): no device follows it now.`);
    expect(removed.stderr).toContain("skerry deploy m@1 --to 'site=moon'");
    expect((await skerry('deployment', 'list')).stdout).not.toContain('site=moon');

    expect((await skerry('undeploy', 'm@1', '--all')).code).toBe(2);
    expect((await skerry('undeploy', 'm')).code).toBe(2);
    expect((await skerry('undeploy', 'm', '--to', 'site=venus')).stdout).toMatch(/^deployment \d+: no m to site=venus, 0 device/);
    const undeployed = await skerry('undeploy', 'm', '--to', 'site=lab', '--supersede', '--wait', '--json');
    expect(json(undeployed)).toMatchObject({ model: 'm', version: null, counts: { removed: 1 } });

    await world.publish('gone', 1, affineModel(), ['--samples', '1']);
    await world.publish('gone', 2, affineModel({ scale: 3 }), ['--samples', '1']);
    expect((await skerry('model', 'delete', 'gone')).code).toBe(2);
    expect(json(await skerry('model', 'delete', 'gone@1', '--yes', '--json'))).toMatchObject({ artifacts: expect.any(Number) as unknown });
    expect((await skerry('model', 'delete', 'gone@2', '--yes')).stdout).toMatch(/^Deleted gone@2: \d+ files?, .* given back\.\n$/);
    expect((await skerry('model', 'delete', 'gone@2', '--yes')).stderr).toContain('[VERSION_DELETED]');
  });

  it('skerry device settle, skerry hub clock --confirm', async () => {
    expect(await skerry('device', 'settle', 'first')).toMatchObject({ code: 0, stdout: 'first: settled\n' });
    expect(json(await skerry('device', 'settle', 'first', '--json'))).toMatchObject({ id: 'first', marks: [] });
    const unknown = await skerry('device', 'settle', 'first', '--keep', 'elsewhere');
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('[DEVICE_COPY_UNKNOWN]')]);
    expect((await skerry('device', 'settle', 'nobody')).stderr).toContain('[DEVICE_UNKNOWN]');
    expect((await skerry('hub', 'clock', '--confirm')).stdout).toMatch(
      /^clock +credible\nnow +\S+\nlast signed +\S+\ndevices +\d+ can vouch/,
    );
    expect(json(await skerry('hub', 'clock', '--confirm', '--json'))).toMatchObject({ state: 'credible' });
    expect(json(await skerry('hub', 'clock', '--json'))).toMatchObject({ state: 'credible' });
  });

  it('every command teaches by --help, with an exit code of 0', async () => {
    for (const program of ['skerry', 'skerry-agent'] as const) {
      const names = (await completions(program, [''])).filter((name) => name !== 'help');
      expect(names.length).toBeGreaterThan(5);
      for (const name of names) {
        const { code, stdout } = await world.processes.run(program, [name, '--help']);
        expect([name, code]).toEqual([name, 0]);
        expect(stdout).toMatch(/^Usage: skerry/);
      }
    }
    expect((await skerry('no-such-command')).code).toBe(2);
    expect((await skerry('publish', '--no-such-option')).code).toBe(2);
  });

  it('the shell completes commands, options and what is on the hub', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await skerry('completion', shell);
      expect([shell, code, stdout.includes('__complete')]).toEqual([shell, 0, true]);
    }
    const script = (await skerry('completion', 'bash')).stdout;
    expect(spawnSync('bash', ['-n'], { input: script }).status).toBe(0);
    expect(await completions('skerry', ['dep'])).toEqual(['deploy', 'deployment']);
    expect(await completions('skerry', ['deploy', '--re'])).toEqual(['--retry']);
    expect(await completions('skerry', ['metrics', ''])).toContain('m');
    expect(await completions('skerry', ['device', 'show', ''])).toContain('first');
    expect((await skerry('completion', 'no-shell')).code).toBe(2);
  });

  it('ends quietly when whoever reads its output has had enough', () => {
    const program = path.join(PROJECT_ROOT, 'dist/hub/main.js');
    const { status, stderr } = spawnSync('bash', ['-c', `set -o pipefail; "${process.execPath}" "${program}" openapi | head -c 1`], {
      env: { ...process.env, ...world.fleet.environment() },
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
  });

  async function completions(program: 'skerry' | 'skerry-agent', words: readonly string[]): Promise<readonly string[]> {
    const { stdout } = await world.processes.run(program, ['__complete', '--', ...words], { env: world.fleet.environment() });
    return stdout.split('\n').filter((line) => line !== '');
  }
});

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
