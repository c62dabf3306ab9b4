import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hubDesk } from '../../kit/hub-cli.js';
import type { CommandResult } from '../../kit/processes.js';

const desk = hubDesk();
const { skerry } = desk;
const parsed = (result: CommandResult): unknown => JSON.parse(result.stdout);

describe('commands against a running hub', () => {
  test('a token is alone on standard output, so that a script can take it', async () => {
    const result = await skerry('token', 'create', '--label', 'site=lab', '--uses', '2');
    expect([result.code, result.stdout]).toEqual([0, expect.stringMatching(/^skt_[\w-]{43}\n$/)]);
    expect(result.stderr).toContain('2 devices');
    expect(parsed(await skerry('token', 'list', '--json'))).toMatchObject({ enrolment: [{ maxUses: 2, labels: { site: 'lab' } }] });
  });

  test('a token of either kind is revoked by its id', async () => {
    const made = parsed(await skerry('token', 'create', 'viewer', '--name', 'short', '--expires', '1h', '--json')) as { id: string };
    expect(await skerry('token', 'revoke', made.id)).toMatchObject({ code: 0, stdout: `revoked ${made.id} "short"\n` });
    expect(await skerry('token', 'revoke', '000000000000')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[TOKEN_UNKNOWN]') as string,
    });
  });

  test('login keeps what the next commands need', async () => {
    expect((await skerry('login')).stdout).toContain('Logged in');
    const file = join(desk.folder, '.config', 'skerry', 'login.json');
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600');
    const bare = { SKERRY_HUB: '', SKERRY_TOKEN: '' };
    expect((await desk.skerryWith(bare, 'model', 'list', '--json')).stdout).toBe('{"models":[]}\n');
  });

  test('what is wrong is said with its code and what to do, and told to scripts as JSON', async () => {
    const unknown = await skerry('deploy', 'vad@1', '--all', '--json');
    expect([unknown.code, unknown.stdout, JSON.parse(unknown.stderr)]).toEqual([
      1,
      '',
      expect.objectContaining({ code: 'VERSION_UNKNOWN', action: expect.any(String) as string }),
    ]);
    expect(await skerry('deploy', 'vad', '--all')).toMatchObject({ code: 2, stderr: expect.stringContaining('[CLI_USAGE]') as string });
    expect(await skerry('deploy', 'vad@1', '--to', 'a=b', '--all')).toMatchObject({ code: 2 });
    expect(await skerry('device', 'show', 'nobody')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[DEVICE_UNKNOWN]') as string,
    });
    expect(await skerry('device', 'list', '--selector', 'a in (')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[SELECTOR_INVALID]') as string,
    });
    for (const [words, code] of [
      [['metrics', 'nothing'], 'MODEL_UNKNOWN'],
      // 21 I: each of them knows the device, and none asks a script.
      [['device', 'remove', 'nobody'], 'DEVICE_UNKNOWN'],
      [['device', 'restore', 'nobody'], 'DEVICE_UNKNOWN'],
      [['device', 'replace', 'nobody', '--expires', '2h', '--force'], 'DEVICE_UNKNOWN'],
      [['metrics', 'skerry-agent', '--device', 'nobody'], 'DEVICE_UNKNOWN'],
    ] as const) {
      expect(await skerry(...words)).toMatchObject({ code: 1, stderr: expect.stringContaining(`[${code}]`) as string });
    }
    expect(await skerry('metrics', 'skerry-agent')).toMatchObject({ code: 0 });
    expect(await skerry('audit', '--action', 'nothing')).toMatchObject({ code: 0, stdout: 'Nothing of that kind was done.\n' });
    expect(await skerry('modle')).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean model?') as string });
    const dead = await desk.skerryWith({ SKERRY_HUB: 'http://127.0.0.1:1' }, 'audit');
    expect(dead).toMatchObject({ code: 1, stderr: expect.stringContaining('[HUB_UNREACHABLE]') as string });
  });

  test('what was done is in the audit log', async () => {
    const { records } = parsed(await skerry('audit', '--json')) as { records: unknown[] };
    expect(records).toContainEqual(expect.objectContaining({ action: 'enrolment:write', outcome: 'ok', actor: 'first admin' }));
    expect(records).toContainEqual(expect.objectContaining({ action: 'deployment:write', outcome: 'refused', code: 'VERSION_UNKNOWN' }));
  });

  test('the shell is offered commands, and what only the hub knows', async () => {
    expect((await skerry('__complete', '--', 'dep')).stdout).toBe('deploy\ndeployment\n');
    expect((await skerry('__complete', '--', 'token', 'create', 'p')).stdout).toBe('publisher\n');
    expect((await skerry('__complete', '--', 'model', 'show', '')).code).toBe(0);
    expect((await skerry('__complete', '--', 'rollout', 'show', '')).code).toBe(0);
  });
});

test('a hub that is told to stop stops, and takes its state file along', async () => {
  expect(await desk.hub.stop()).toBe(0);
  await expect(stat(join(desk.folder, 'hub', 'hub.json'))).rejects.toMatchObject({ code: 'ENOENT' });
});
