import { createOutput, type Format, type Output, paint } from '#shared/terminal/output.js';

/** How the story is told: plain lines, so that it reads the same in a terminal, a log and a pipe. */
export class Narrator {
  readonly out: Output = createOutput();
  readonly #started = performance.now();

  title(text: string): void {
    this.line(`\n${this.paint(['bold', 'cyan'], text)}`);
  }

  say(text: string): void {
    this.line(`  ${text}`);
  }

  detail(text: string): void {
    this.line(this.paint('dim', `    ${text}`));
  }

  check(what: string, held: boolean, seen: string): void {
    const mark = held ? this.paint('green', '✓') : this.paint('red', '✗');
    this.line(`  ${mark} ${what}${seen === '' ? '' : this.paint('dim', `  (${seen})`)}`);
  }

  block(lines: readonly string[]): void {
    for (const line of ['', ...lines, '']) this.line(line);
  }

  failure(text: string): void {
    this.line(this.paint('red', `  ✗ ${text}`));
  }

  line(text: string): void {
    this.out.stdout.write(`${text}\n`);
  }

  paint(format: Format, text: string): string {
    return paint(this.out, format, text);
  }

  /** Seconds since the story began. */
  get elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }
}
