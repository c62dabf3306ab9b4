import { readFile } from 'node:fs/promises';
import type { ReadStream } from 'node:tty';
import { SkerryError } from '#shared/kernel/errors.js';
import { counted } from '#shared/kernel/counted.js';
import { type Output, printNote } from './output.js';

interface PassphraseOptions {
  /** What it opens or seals, for the question: "publisher key". */
  readonly what: string;
  /** For a new one: ask twice, and refuse one that is too short. */
  readonly confirm?: boolean;
  /** Environment variable that holds it, for scripts. */
  readonly variable: string;
  /** File that holds it (first line), for scripts; wins over the variable. */
  readonly file?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: NodeJS.ReadableStream;
}

/** Gets a passphrase from a file, an environment variable or the terminal, in this order; `CLI_USAGE` where none of them is there. */
export async function readPassphrase(out: Output, options: PassphraseOptions): Promise<string> {
  if (options.file !== undefined) {
    const line = (
      await readFile(options.file, 'utf8').catch((cause: unknown) => {
        throw new SkerryError('IO_FAILED', `the passphrase file ${String(options.file)} could not be read`, { cause });
      })
    ).split(/\r?\n/, 1)[0];
    return checked(line, out, options);
  }
  const fromEnv = (options.env ?? process.env)[options.variable];
  if (fromEnv !== undefined) return checked(fromEnv, out, options);
  const stdin = options.stdin ?? process.stdin;
  if (!isTerminal(stdin) || !out.interactive) {
    throw new SkerryError(
      'CLI_USAGE',
      `no terminal to ask for the passphrase of the ${options.what} on: set ${options.variable}, or give --passphrase-file`,
    );
  }
  const first = checked(await ask(stdin, out, `Passphrase for the ${options.what}: `), out, options);
  if (options.confirm === true && (await ask(stdin, out, 'Once more: ')) !== first) {
    throw new SkerryError('CLI_USAGE', 'the two passphrases differ');
  }
  return first;
}

/** Characters a new passphrase needs at least, and those below which it is called short. */
const MIN_CHARACTERS = 5;
const SHORT_CHARACTERS = 12;

/** The passphrase, unless it is empty or, for a new one, too short. */
function checked(text: string | undefined, out: Output, { what, confirm }: PassphraseOptions): string {
  if (text === undefined || text === '') throw new SkerryError('CLI_USAGE', `the passphrase of the ${what} is empty`);
  if (confirm !== true) return text;
  const { length } = Array.from(text);
  if (length < MIN_CHARACTERS) {
    throw new SkerryError(
      'CLI_USAGE',
      `the passphrase of the ${what} has ${counted(length, 'character')}; it needs at least ${MIN_CHARACTERS}, better ${SHORT_CHARACTERS} or more`,
    );
  }
  if (length < SHORT_CHARACTERS) {
    printNote(
      out,
      `note: a passphrase of ${length} characters is short; whoever copies the key files can guess it. Use ${SHORT_CHARACTERS} or more.`,
    );
  }
  return text;
}

function isTerminal(stream: NodeJS.ReadableStream): stream is ReadStream {
  return 'isTTY' in stream && stream.isTTY === true && 'setRawMode' in stream;
}

/** Reads one line without echo. */
function ask(stdin: ReadStream, out: Output, question: string): Promise<string> {
  out.stderr.write(question);
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (act: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      out.stderr.write('\n');
      act();
    };
    const onData = (chunk: Buffer): void => {
      for (const char of chunk.toString('utf8')) {
        if (char === '\r' || char === '\n') return end(() => resolve(text));
        if (char === '\u0003' || char === '\u0004') return end(() => reject(new SkerryError('ABORTED', 'no passphrase was given')));
        text = char === '\u007f' || char === '\b' ? Array.from(text).slice(0, -1).join('') : text + char;
      }
    };
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on('data', onData);
  });
}
