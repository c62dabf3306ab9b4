import { expect, test } from 'vitest';
import { buildProgram } from '#agent/cli/program.js';

test('every command of the agent has help with an example', () => {
  const commands = buildProgram().commands.filter((command) => command.name() !== '__complete');
  expect(commands.length).toBeGreaterThan(7);
  for (const command of commands) {
    let shown = '';
    command.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp();
    expect([command.name(), shown]).toEqual([
      command.name(),
      expect.stringMatching(/\nExamples?:?\n {2}(source <\()?skerry-agent |\n {2}SKERRY_/),
    ]);
  }
});
