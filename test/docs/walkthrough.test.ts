import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../kit/processes.js';

/** The shell blocks of a page that are marked to be run. */
async function linesOf(page: string): Promise<string> {
  const text = await readFile(path.join(PROJECT_ROOT, page), 'utf8');
  return [...text.matchAll(/<!-- run -->\n```sh\n([\s\S]*?)```/g)].map(([, lines]) => lines).join('\n');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

it('the lines of the README and the walkthrough work as they stand, in an empty home folder', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'skerry-walk-'));
  // The ports of the pages may be taken on this machine: settings move the programs, and the lines that name a port follow.
  const [http, mqtt, local] = [await freePort(), await freePort(), await freePort()];
  const script =
    `set -e; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${await linesOf('README.md')}\n${await linesOf('docs/WALKTHROUGH.md')}`
      .replace('npm run build', 'node packaging/prepare.mjs')
      .replaceAll('127.0.0.1:7480', `127.0.0.1:${http}`)
      .replaceAll('127.0.0.1:7490', `127.0.0.1:${local}`);
  // Job control, for `kill %1`: as in the shell of a person.
  const shell = spawn('bash', ['-m', '-c', script], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      SKERRY_PASSPHRASE: 'a passphrase for the walk',
      SKERRY_HUB_HTTP_PORT: String(http),
      SKERRY_HUB_MQTT_PORT: String(mqtt),
      SKERRY_AGENT_HTTP_PORT: String(local),
      SKERRY_HUB_ROLLOUT_LOOK: '1s',
    },
  });
  try {
    let output = '';
    for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => shell.once('close', resolve));
    expect(code, output).toBe(0);
    expect(output).toContain('published vad@1');
    expect(output).toMatch(/stateN/);
    expect(output).toContain('completed');
    expect(output).toContain('rolled-back');
    expect(output, 'nothing is asked of a registry').not.toContain('npm error');
  } finally {
    if (shell.exitCode === null) shell.kill('SIGTERM');
    await rm(home, { recursive: true, force: true });
  }
});
