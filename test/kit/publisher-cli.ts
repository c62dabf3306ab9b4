import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, expect } from 'vitest';
import { registerInspectCommand } from '#hub/cli/inspect.js';
import { registerPublishAgentCommand } from '#hub/cli/publish-agent.js';
import { registerPublishCommand } from '#hub/cli/publish.js';
import { registerTrustCommands } from '#hub/cli/trust.js';
import { systemClock } from '#shared/kernel/clock.js';
import { createOutput, type Output } from '#shared/terminal/output.js';
import { runCli } from '#shared/terminal/run-cli.js';
import { type ApiHub, startApiHub } from './api-hub.js';

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
async function run(hub: ApiHub, argv: readonly string[], role: 'publisher' | 'viewer'): Promise<Ran> {
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

export const PASSPHRASE = 'correct horse battery staple';

/** Where publishers of a test file work: the commands they type against its hub, and files in its folder. */
export interface PublisherDesk {
  readonly hub: ApiHub;
  /** Runs `skerry ...`. */
  readonly skerry: (...argv: string[]) => Promise<Ran>;
  /** The same as somebody whose token may only look. */
  readonly asViewer: (...argv: string[]) => Promise<Ran>;
  /** What a command that fails says of why. */
  readonly failing: (...argv: string[]) => Promise<{ readonly code: string; readonly message: string; readonly action: string }>;
  readonly file: (name: string) => string;
  /** Options that name a publisher folder and what opens it. */
  readonly keys: (name?: string) => string[];
}

/** Starts a hub for the tests of the calling file, and ends it after them. */
export function publisherDesk(): PublisherDesk {
  let hub: ApiHub | undefined;
  let folder = '';
  beforeAll(async () => {
    hub = await startApiHub('lab');
    folder = await mkdtemp(join(tmpdir(), 'skerry-desk-'));
    await writeFile(join(folder, 'passphrase'), `${PASSPHRASE}\n`);
  });
  afterAll(async () => {
    await hub?.close();
    await rm(folder, { recursive: true });
  });
  const running = (): ApiHub => {
    if (hub === undefined) throw new Error('the hub is not started yet');
    return hub;
  };
  const file = (name: string): string => join(folder, name);
  return {
    get hub() {
      return running();
    },
    skerry: (...argv) => run(running(), argv, 'publisher'),
    asViewer: (...argv) => run(running(), argv, 'viewer'),
    failing: async (...argv) => {
      const ran = await run(running(), [...argv, '--json'], 'publisher');
      expect(ran.code).not.toBe(0);
      return JSON.parse(ran.stderr) as { code: string; message: string; action: string };
    },
    file,
    keys: (name = 'keeper') => ['--keys', file(name), '--passphrase-file', file('passphrase')],
  };
}
