import { type Command, CommanderError, type Option } from 'commander';
import { asSkerryError, errnoOf, type ErrorBody, SkerryError } from '#shared/kernel/errors.js';
import { createOutput, type Output, type OutputOptions, paint } from './output.js';

/** Exit codes of both programs. `partly`: some of what was asked was done. */
export const EXIT = { ok: 0, failed: 1, usage: 2, partly: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface RunOptions extends Omit<OutputOptions, 'json'> {
  /** Arguments without the interpreter and the script (default: the process's own). */
  readonly argv?: readonly string[];
}

/**
 * Runs a program and returns its exit code, which is set on the process as well. A command that did only part of its
 * work sets `process.exitCode = EXIT.partly`. Errors go to stderr: sentence, what to do, code; with `--json` an ErrorBody.
 */
export async function runCli(program: Command, options: RunOptions = {}): Promise<number> {
  const argv = options.argv ?? process.argv.slice(2);
  const out = createOutput({ ...options, json: wantsJson(argv) });
  prepare(program, out);
  handleFailedWrites(out);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (thrown) {
    process.exitCode = report(out, thrown);
  }
  return Number(process.exitCode ?? EXIT.ok);
}

/**
 * `skerry device list | head -1`: a reader that has had enough is no error. Results that cannot be written, because the disk is full, are
 * one: the command ends with exit code 1. Notes that cannot be written are dropped.
 */
function handleFailedWrites(out: Output): void {
  out.stderr.on('error', () => undefined);
  out.stdout.on('error', (thrown) => {
    if (errnoOf(thrown) === 'EPIPE') process.exit();
    // A command that goes on without its results, as a server does, listens as well.
    if (out.stdout.listenerCount('error') > 1) return;
    const reason = asSkerryError(thrown, 'IO_FAILED').message;
    process.exitCode = report(out, new SkerryError('IO_FAILED', `the output could not be written: ${reason}`, { cause: thrown }));
    process.exit();
  });
}

/** True when `--json` stands among the options (before `--`). */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

/** Commander writes and exits by itself; here it writes to the command's streams and throws instead. */
function prepare(command: Command, out: Output): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => out.stdout.write(text),
    writeErr: (text) => {
      if (!out.json) out.stderr.write(text);
    },
  });
  command.configureHelp({ optionDescription });
  if (command.name() !== '__complete') command.helpOption('-h, --help', 'Show this help.');
  if (command.commands.length > 0) command.helpCommand('help [command]', 'Show the help of a command.');
  command.showSuggestionAfterError(true);
  if (!out.json) command.showHelpAfterError('(add --help to see the options)');
  for (const child of command.commands) prepare(child, out);
}

/** Commander shows defaults as JSON: that says nothing of empty lists, and again what a description says already. */
function optionDescription({ description, defaultValue: value, argChoices, envVar }: Option): string {
  const choices = argChoices === undefined ? [] : [`choices: ${argChoices.join(', ')}`];
  const shown = typeof value === 'string' || typeof value === 'number';
  const usual = shown && !description.includes('(default: ') ? [`default: ${value}`] : [];
  const notes = [...choices, ...usual, ...(envVar === undefined ? [] : [`env: ${envVar}`])];
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
}

function report(out: Output, thrown: unknown): ExitCode {
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return EXIT.ok;
    if (out.json) writeBody(out, new SkerryError('CLI_USAGE', thrown.message.replace(/^error: /, '')).toBody());
    return EXIT.usage;
  }
  const error = asSkerryError(thrown);
  if (out.json) writeBody(out, error.toBody());
  else out.stderr.write(renderError(out, error));
  return error.code === 'CLI_USAGE' || error.code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed;
}

function writeBody(out: Output, body: ErrorBody): void {
  out.stderr.write(`${JSON.stringify(body)}\n`);
}

/** The error as a person reads it: what happened, what to do, the code to look up. */
function renderError(out: Output, error: SkerryError): string {
  const lines = [
    `${paint(out, 'red', 'error:')} ${error.message}`,
    `${paint(out, 'dim', 'what to do:')} ${error.entry.action} ${paint(out, 'dim', `[${error.code}]`)}`,
  ];
  if (error.code === 'INTERNAL' && error.cause instanceof Error && error.cause.stack !== undefined) lines.push(error.cause.stack);
  return `${lines.join('\n')}\n`;
}
