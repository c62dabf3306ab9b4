import { Writable } from 'node:stream';
import { Command } from 'commander';
import { expect } from 'vitest';
import { registerInspectCommand } from '#hub/cli/inspect.js';
import { registerPublishAgentCommand } from '#hub/cli/publish-agent.js';
import { registerPublishCommand } from '#hub/cli/publish.js';
import { registerTrustCommands } from '#hub/cli/trust.js';
import { systemClock } from '#shared/kernel/clock.js';
import { createOutput, type Output } from '#shared/terminal/output.js';
import { runCli } from '#shared/terminal/run-cli.js';
import type { ApiHub } from './api-hub.js';

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `skerry ...` as the program does, with the commands of publishers, against a hub. */
export async function runPublisherCli(hub: ApiHub, argv: readonly string[], role: 'publisher' | 'viewer' = 'publisher'): Promise<Ran> {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const program = new Command('skerry').version('0.0.0');
  const output = (json: boolean): Output => createOutput({ json, stdout, stderr, env: {} });
  const deps = { output, clock: systemClock, resolveHub: () => Promise.resolve({ url: hub.url, token: hub.secret[role] }) };
  registerPublishCommand(program, deps);
  registerPublishAgentCommand(program, deps);
  registerInspectCommand(program, output);
  registerTrustCommands(program, deps);
  process.exitCode = undefined;
  const code = await runCli(program, { argv: [...argv], stdout, stderr, env: {} });
  process.exitCode = undefined;
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** What the command says of why it failed. */
export async function failedPublisherCli(
  hub: ApiHub,
  argv: readonly string[],
): Promise<{ readonly code: string; readonly message: string; readonly action: string }> {
  const ran = await runPublisherCli(hub, [...argv, '--json']);
  expect(ran.code).not.toBe(0);
  return JSON.parse(ran.stderr) as { code: string; message: string; action: string };
}
