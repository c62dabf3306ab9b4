import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findRunning } from '#agent/running.js';
import { LAUNCHED_VARIABLE } from '#agent/update/launched.js';
import { SlotFolder } from '#agent/update/slot-folder.js';
import { noSlots } from '#agent/update/slots.js';
import { digestSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { TestBroker } from '../../kit/broker.js';
import { pretendEnrolled } from '../../kit/pretend-identity.js';
import { Processes, type RunningProcess } from '../../kit/processes.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { until } from '../../kit/until.js';

const statusSchema = z.object({
  pid: z.number(),
  http: z.string(),
  link: z.object({ kind: z.string(), reason: z.string().optional() }),
  reported: z.object({ boot: z.number(), device: z.string(), models: z.array(z.unknown()) }),
});

let processes: Processes;
let data: string;
beforeEach(async () => {
  processes = new Processes();
  data = join(await tempFolder(), 'agent');
});
afterEach(() => processes.close());

async function start(args: readonly string[] = []): Promise<RunningProcess> {
  const running = processes.start('skerry-agent', ['run', '--data', data, '--http-port', '0', '--reconnect-max', '200ms', ...args], {
    logFile: join(data, 'log'),
  });
  await until('the agent to say where it is', async () => running.alive && (await findRunning(data))?.pid === running.pid);
  return running;
}

const status = async () => statusSchema.parse(await processes.json('skerry-agent', ['status', '--data', data]));

describe('the agent process', () => {
  it('runs without its hub, says so, answers health, and ends cleanly', async () => {
    await pretendEnrolled(data, 'mqtt://127.0.0.1:1');
    const agent = await start();
    const said = await until('an attempt to connect', async () => {
      const now = await status();
      return now.link.kind === 'offline' && now.link.reason !== undefined && now;
    });
    expect(said).toMatchObject({ pid: agent.pid, reported: { boot: 1, device: 'lab-1', models: [] } });
    expect(said.link.reason).toContain('ECONNREFUSED');
    expect((await fetch(`${said.http}/v2/health/live`)).status).toBe(200);
    expect(await agent.stop()).toBe(0);
    expect(await findRunning(data)).toBeUndefined();
    expect((await processes.run('skerry-agent', ['status', '--data', data])).code).toBe(1);
  });

  it('has its data folder to itself, and takes it over from one that was killed', async () => {
    await pretendEnrolled(data, 'mqtt://127.0.0.1:1');
    const first = await start();
    const second = await processes.run('skerry-agent', ['run', '--data', data, '--http-port', '0']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('STORE_LOCKED');
    expect((await findRunning(data))?.pid).toBe(first.pid);
    // Twenty such starts are no reason to leave a release.
    const digest = digestSchema.parse('a'.repeat(64));
    const release = { slot: 'a' as const, version: versionNumberSchema.parse(2), manifest: digest, digest, release: '0.2.0' };
    const watch = { boots: 3, maxBoots: 20, attempt: 0, schema: 1 };
    const folder = new SlotFolder(data);
    await folder.write({ ...noSlots('0.1.0'), good: { ...release, watch } });
    const launched = { launcher: '/usr/lib/skerry-agent', packaged: '0.1.0', natives: 'n', runs: 'a', notes: [] };
    const env = { [LAUNCHED_VARIABLE]: JSON.stringify(launched) };
    expect((await processes.run('skerry-agent', ['run', '--data', data, '--http-port', '0'], { env })).stderr).toContain('STORE_LOCKED');
    expect((await folder.read())?.good?.watch?.boots).toBe(2);
    await rm(folder.folder, { recursive: true });
    await first.kill();
    expect(await findRunning(data)).toBeUndefined();
    const third = await start();
    expect((await status()).reported.boot).toBe(2);
    expect(await third.stop()).toBe(0);
  });

  it('ends in order where one wish to end reaches it twice, as Ctrl-C does from a terminal and from whoever hands it on', async () => {
    await pretendEnrolled(data, 'mqtt://127.0.0.1:1');
    const agent = await start();
    process.kill(agent.pid, 'SIGINT');
    process.kill(agent.pid, 'SIGTERM');
    expect(await agent.exited).toBe(0);
  });

  it('names the folder of a database it cannot open', async () => {
    await pretendEnrolled(data, 'mqtt://127.0.0.1:1');
    await mkdir(join(data, 'store', 'agent.db'), { recursive: true });
    const { code, stderr } = await processes.run('skerry-agent', ['run', '--data', data, '--http-port', '0']);
    expect(code).toBe(1);
    expect(stderr).toContain(`the database in ${join(data, 'store')} cannot be used: `);
  });

  it('tells a broker who it is, and takes leave of it', async () => {
    const broker = await TestBroker.start();
    await pretendEnrolled(data, broker.url);
    const agent = await start();
    const topic = deviceTopic('main', 'lab-1', 'presence');
    await until('its birth', () => broker.on(topic).length > 0);
    await until('its report', () => broker.on(deviceTopic('main', 'lab-1', 'reported')).length > 0);
    await until('its first event', () => broker.on(deviceTopic('main', 'lab-1', 'event')).length > 0);
    await broker.kill();
    await broker.restart();
    const births = () => broker.on(topic).filter((payload) => decodeMessage('presence', payload, 'lab-1').state === 'online').length;
    await until('its second birth', () => births() > 1);
    expect(await agent.stop()).toBe(0);
    const presences = () => broker.on(topic).map((payload) => decodeMessage('presence', payload, 'lab-1'));
    // Where its farewell did not get through in time, the broker speaks its will.
    await until('its leave', () => presences().at(-1)?.state === 'offline');
    const connections = presences().map(({ connection }) => connection);
    expect(connections).toEqual([...connections].sort((a, b) => a - b));
    await broker.kill();
  });

  it('teaches and refuses on the command line with the exit codes it promises', async () => {
    const run = async (...args: string[]) => processes.run('skerry-agent', args);
    expect((await run('--help')).stdout).toContain('skerry-agent enroll --hub');
    expect((await run('run', '--data', data)).stderr).toContain('SYNC_NOT_ENROLLED');
    expect((await run('run', '--data', data)).code).toBe(1);
    expect((await run('explode')).code).toBe(2);
    expect((await run('enroll', '--hub', 'mqtt://x', '--token', 'skt', '--data', data)).code).toBe(2);
    expect((await run('run', '--bake', 'soon', '--data', data)).stderr).toContain('CONFIG_INVALID');
    expect((await run('__complete', '--', 'sta')).stdout).toBe('status\n');
    const doctor = await run('doctor', '--data', data, '--json');
    expect(doctor.code).toBe(3);
    const findings = z.array(z.object({ name: z.string(), verdict: z.string() })).parse(JSON.parse(doctor.stdout));
    expect(findings.find((finding) => finding.name === 'identity')?.verdict).toBe('bad');
    expect(findings.find((finding) => finding.name === 'runtime')?.verdict).toBe('good');
  });
});
