import { styleText } from 'node:util';

/** How the story is told: plain lines, so that it reads the same in a terminal, a log and a pipe. */
export class Narrator {
  readonly #started = performance.now();

  title(text: string): void {
    this.line(`\n${styleText(['bold', 'cyan'], text)}`);
  }

  say(text: string): void {
    this.line(`  ${text}`);
  }

  detail(text: string): void {
    this.line(styleText('dim', `    ${text}`));
  }

  check(what: string, held: boolean, seen: string): void {
    const mark = held ? styleText('green', '✓') : styleText('red', '✗');
    this.line(`  ${mark} ${what}${seen === '' ? '' : styleText('dim', `  (${seen})`)}`);
  }

  block(lines: readonly string[]): void {
    for (const line of ['', ...lines, '']) this.line(line);
  }

  failure(text: string): void {
    this.line(styleText('red', `  ✗ ${text}`));
  }

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Seconds since the story began. */
  get elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }
}
