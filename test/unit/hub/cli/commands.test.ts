import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { buildProgram as buildAgentProgram } from '#agent/cli/program.js';
import { parseLabels, parseModelVersion, parseSpan } from '#hub/cli/arguments.js';
import { COMMANDS } from '#hub/cli/commands.js';
import type { CliDeps } from '#hub/cli/deps.js';
import { deployOutcome, deployPercent } from '#hub/cli/deploy-outcome.js';
import { buildProgram } from '#hub/cli/program.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { systemClock } from '#shared/kernel/clock.js';
import { createOutput } from '#shared/terminal/output.js';
import { EXIT } from '#shared/terminal/run-cli.js';
import { coded } from '../../../kit/coded.js';

describe('the program', () => {
  const deps: CliDeps = {
    env: {},
    clock: systemClock,
    output: (json) => createOutput({ json, env: {} }),
    resolveHub: () => Promise.resolve({ url: 'http://127.0.0.1:1', token: 'none' }),
  };

  test.each(COMMANDS)('lists $name as that command describes itself', async (command) => {
    const program = new Command('skerry');
    await command.register(program, deps);
    expect(program.commands.map((child) => [child.name(), child.description()])).toEqual([[command.name, command.description]]);
  });

  test('every command that does something has help with an example', async () => {
    const program = await buildProgram({}, ['help']);
    const leaves = (command: Command): Command[] => (command.commands.length === 0 ? [command] : command.commands.flatMap(leaves));
    const named = leaves(program).filter((command) => !['completion', '__complete', 'help'].includes(command.name()));
    expect(named.length).toBeGreaterThan(20);
    for (const command of named) {
      let shown = '';
      command.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp();
      expect([command.name(), command.description(), shown]).toEqual([
        command.name(),
        expect.stringMatching(/^[A-Z].*\.$/),
        expect.stringMatching(/\nExamples?:?\n {2}skerry /),
      ]);
    }
  });

  test('descriptions of commands, arguments and options are sentences', async () => {
    const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
    const texts = [await buildProgram({}, ['help']), buildAgentProgram()]
      .flatMap(all)
      .filter((command) => command.name() !== '__complete')
      .flatMap((command) => [
        command.description(),
        ...[...command.registeredArguments, ...command.options].map((part) => part.description),
      ]);
    expect(texts.length).toBeGreaterThan(200);
    expect(texts.filter((text) => !/^[A-Z0-9].*(\.|\))$/.test(text) || text.endsWith('..'))).toEqual([]);
  });

  test('loads only the command it is called with', async () => {
    const program = await buildProgram({}, ['model', 'list']);
    const loaded = program.commands.filter((command) => command.commands.length > 0).map((command) => command.name());
    expect(loaded).toEqual(['model']);
  });
});

describe('arguments', () => {
  test('a model with or without its version', () => {
    expect(parseModelVersion('vad')).toEqual({ model: 'vad', version: undefined });
    expect(parseModelVersion('vad@12')).toEqual({ model: 'vad', version: 12 });
  });

  test.each(['', '@1', 'vad@', 'vad@0', 'vad@1.5', 'vad@-1', 'Vad@1', 'vad@1e3', 'a..b', '../vad@1'])(
    '"%s" is no version of a model',
    (text) => {
      expect(() => parseModelVersion(text)).toThrow(coded('CLI_USAGE'));
    },
  );

  test('labels, set and taken away', () => {
    expect(parseLabels(['site=lab', 'note=a=b', 'tier-'], true)).toEqual({ site: 'lab', note: 'a=b', tier: null });
    expect(() => parseLabels(['tier-'])).toThrow(coded('CLI_USAGE'));
    expect(() => parseLabels(['=x'], true)).toThrow(coded('CLI_USAGE'));
  });

  test('spans', () => {
    expect(parseSpan('1h30m', '--since')).toBe(5_400_000);
    expect(() => parseSpan('soon', '--since')).toThrow(coded('CLI_USAGE', '--since'));
    expect(() => parseSpan('0s', '--since')).toThrow(coded('CLI_USAGE'));
  });
});

describe('the outcome of a deployment', () => {
  const states = ['waiting', 'fetching', 'installing', 'serving', 'refused', 'superseded'] as const;
  const devices = (...list: (typeof states)[number][]): Parameters<typeof deployOutcome>[0] =>
    list.map((state, index) => ({ device: deviceIdSchema.parse(`d${index}`), state }));

  test.each([
    [['serving', 'serving'], { kind: 'settled', exit: EXIT.ok }],
    [['serving', 'superseded'], { kind: 'settled', exit: EXIT.ok }],
    [['serving', 'refused'], { kind: 'settled', exit: EXIT.partly }],
    [['refused'], { kind: 'settled', exit: EXIT.failed }],
    [['superseded'], { kind: 'settled', exit: EXIT.failed }],
    [[], { kind: 'settled', exit: EXIT.failed }],
    [['serving', 'waiting'], { kind: 'running' }],
    [['refused', 'fetching'], { kind: 'running' }],
    [['installing'], { kind: 'running' }],
  ] as const)('%j', (list, outcome) => {
    expect(deployOutcome(devices(...list))).toEqual(outcome);
  });

  test('a bar never goes back on the way to serving', () => {
    const [waiting, fetching, installing, serving] = devices('waiting', 'fetching', 'installing', 'serving').map(deployPercent);
    expect([waiting, fetching, installing, serving]).toEqual([0, 0, 85, 100]);
    expect(deployPercent({ ...devices('fetching')[0]!, percent: 100 })).toBeLessThan(85);
  });
});
