import { stripVTControlCharacters, styleText } from 'node:util';

/** What a command writes through: where to, in colour or not, for a person or (`json`) for a script. */
export interface Output {
  readonly json: boolean;
  /** Results. */
  readonly stdout: NodeJS.WritableStream;
  /** Progress, notes and errors, so that results can be piped. */
  readonly stderr: NodeJS.WritableStream;
  readonly colour: boolean;
  /** True when a person watches the notes, so that lines may be redrawn. */
  readonly interactive: boolean;
}

export interface OutputOptions {
  readonly json?: boolean;
  readonly stdout?: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr?: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Makes the output of one command run; colour follows no-color.org and whether a terminal is there. */
export function createOutput(options: OutputOptions = {}): Output {
  const stdout = options.stdout ?? process.stdout;
  const stderr = options.stderr ?? process.stderr;
  const env = options.env ?? process.env;
  const dumb = env['TERM'] === 'dumb';
  const forced = (env['FORCE_COLOR'] ?? '') !== '' && env['FORCE_COLOR'] !== '0';
  const refused = (env['NO_COLOR'] ?? '') !== '';
  return {
    json: options.json === true,
    stdout,
    stderr,
    colour: !refused && (forced || (stdout.isTTY === true && !dumb)),
    interactive: stderr.isTTY === true && !dumb && options.json !== true,
  };
}

export type Format = Parameters<typeof styleText>[0];

/** Styles text when the output has colour, and returns it as it is otherwise. */
export function paint(out: Output, format: Format, text: string): string {
  // The stream was judged once, in createOutput; Node's own check would look at process.stdout again.
  return out.colour ? styleText(format, text, { validateStream: false }) : text;
}

/** Writes one line of results; nothing with `--json`, whose only result is the JSON. */
export function printLine(out: Output, text = ''): void {
  if (!out.json) out.stdout.write(`${text}\n`);
}

/** Writes one line for the person, beside the results; nothing with `--json`. */
export function printNote(out: Output, text: string): void {
  if (!out.json) out.stderr.write(`${text}\n`);
}

/** Writes a value as JSON, indented for a person and on one line for a pipe. */
export function printJson(out: Output, value: unknown): void {
  const plain = (_key: string, item: unknown): unknown => (typeof item === 'bigint' ? item.toString() : item);
  out.stdout.write(`${JSON.stringify(value, plain, out.colour ? 2 : undefined)}\n`);
}

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly value: (row: Row) => string | number | undefined;
}

/** Writes rows as columns aligned by their visible width; an absent value shows as "-". Says so when there is none. */
export function printTable<Row>(out: Output, columns: readonly Column<Row>[], rows: readonly Row[], empty = 'Nothing to show.'): void {
  if (rows.length === 0) {
    printLine(out, paint(out, 'dim', empty));
    return;
  }
  const cells = rows.map((row) => columns.map((column) => oneLine(String(column.value(row) ?? '-'))));
  const widths = columns.map((column, index) => Math.max(visible(column.title), ...cells.map((line) => visible(line[index] ?? ''))));
  const draw = (line: readonly string[]): string =>
    columns
      .map((column, index) => pad(line[index] ?? '', widths[index] ?? 0, column.align ?? 'left', index === columns.length - 1))
      .join('  ');
  const head = columns.map((column) => column.title.toUpperCase());
  printLine(out, paint(out, 'bold', draw(head)));
  for (const line of cells) printLine(out, draw(line));
}

function pad(text: string, width: number, align: 'left' | 'right', last: boolean): string {
  const blank = ' '.repeat(Math.max(0, width - visible(text)));
  if (align === 'right') return blank + text;
  return last ? text : text + blank;
}

const visible = (text: string): number => Array.from(stripVTControlCharacters(text)).length;

/** What comes from devices and files must not move the cursor or break the table. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\t]+/g, ' ');
}
