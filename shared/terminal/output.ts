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
  /** Columns of the terminal that results go to; undefined for a file or a pipe. */
  readonly columns: number | undefined;
}

export interface OutputOptions {
  readonly json?: boolean;
  readonly stdout?: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
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
    columns: stdout.isTTY === true && stdout.columns !== undefined && stdout.columns > 0 ? stdout.columns : undefined,
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

const GAP = '  ';
/** A column of a table is not made narrower than this to fit a terminal. */
const NARROWEST = 8;

/**
 * Writes rows as columns aligned by their visible width; an absent value shows as "-". Says so when there is none. On a terminal that is
 * too narrow the widest columns are cut, and where that is not enough each row is written as lines of its own.
 */
export function printTable<Row>(out: Output, columns: readonly Column<Row>[], rows: readonly Row[], empty = 'Nothing to show.'): void {
  if (rows.length === 0) {
    printLine(out, paint(out, 'dim', empty));
    return;
  }
  const cells = rows.map((row) => columns.map((column) => oneLine(String(column.value(row) ?? '-'))));
  const natural = columns.map((column, index) => Math.max(visible(column.title), ...cells.map((line) => visible(line[index] ?? ''))));
  const widths = out.columns === undefined ? natural : fitted(natural, out.columns);
  if (widths === undefined) {
    printRecords(out, columns, cells);
    return;
  }
  const draw = (line: readonly string[]): string =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        return pad(cut(line[index] ?? '', width), width, column.align ?? 'left', index === columns.length - 1);
      })
      .join(GAP);
  const head = columns.map((column) => column.title.toUpperCase());
  printLine(out, paint(out, 'bold', draw(head)));
  for (const line of cells) printLine(out, draw(line));
}

/** Widths that fit into `columns` together; the widest give way first. Undefined when the narrowest do not fit. */
export function fitted(natural: readonly number[], columns: number): readonly number[] | undefined {
  const room = columns - GAP.length * (natural.length - 1);
  const least = natural.map((width) => Math.min(width, NARROWEST));
  if (sum(least) > room) return undefined;
  let most = Math.max(...natural);
  const at = (limit: number): number[] => natural.map((width, index) => Math.max(least[index] ?? 0, Math.min(width, limit)));
  while (sum(at(most)) > room) most -= 1;
  return at(most);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Each row as its first value, and below it a line for each other column. */
function printRecords<Row>(out: Output, columns: readonly Column<Row>[], rows: readonly (readonly string[])[]): void {
  const width = Math.max(...columns.map(({ title }) => visible(title)));
  for (const row of rows) {
    for (const [index, { title }] of columns.entries()) {
      const value = row[index] ?? '';
      if (index === 0) printLine(out, paint(out, 'bold', value));
      else printLine(out, `${GAP}${pad(title, width, 'left', false)}${GAP}${value}`);
    }
  }
}

/** The text in at most `width` characters; a cut one ends in an ellipsis. Styled text is cut as plain text. */
function cut(text: string, width: number): string {
  if (visible(text) <= width) return text;
  return `${Array.from(stripVTControlCharacters(text))
    .slice(0, width - 1)
    .join('')}\u2026`;
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
