import type { MultiBar, SingleBar } from 'cli-progress';
import { formatBytes } from './format.js';
import { type Output, printNote } from './output.js';

export interface ProgressBar {
  /** Sets how much is done, in the unit of `total`, and what is shown behind the bar. */
  update(done: number, detail?: string): void;
  finish(detail?: string): void;
  fail(detail: string): void;
}

/** Any number of bars at once. `close` draws them a last time and gives the terminal back. */
export interface Progress {
  bar(label: string, total: number, unit?: 'bytes' | 'count'): ProgressBar;
  close(): void;
}

/** Bars on a terminal, a line at every quarter where output is not one, nothing with `--json`. */
export async function createProgress(out: Output): Promise<Progress> {
  if (out.json) return silentProgress;
  if (!out.interactive) return lineProgress(out);
  const { default: cliProgress } = await import('cli-progress');
  return barProgress(
    new cliProgress.MultiBar(
      {
        stream: out.stderr,
        hideCursor: true,
        clearOnComplete: false,
        gracefulExit: false,
        format: '{label} [{bar}] {percentage}% {amount} {detail}',
        barCompleteChar: '=',
        barIncompleteChar: ' ',
        barsize: 28,
        fps: 10,
      },
      cliProgress.Presets.legacy,
    ),
  );
}

const silentBar: ProgressBar = { update: () => undefined, finish: () => undefined, fail: () => undefined };
const silentProgress: Progress = { bar: () => silentBar, close: () => undefined };

function barProgress(bars: MultiBar): Progress {
  return {
    bar(label, total, unit = 'count') {
      const payload = (done: number, detail: string): Record<string, string> => ({ label, amount: amount(done, total, unit), detail });
      const bar: SingleBar = bars.create(Math.max(total, 1), 0, payload(0, ''));
      let last = 0;
      const show = (done: number, detail = ''): void => {
        last = done;
        bar.update(total === 0 ? 1 : done, payload(done, detail));
      };
      return {
        update: show,
        finish(detail) {
          show(total, detail);
          bar.stop();
        },
        fail(detail) {
          show(last, detail);
          bar.stop();
        },
      };
    },
    close: () => bars.stop(),
  };
}

function lineProgress(out: Output): Progress {
  return {
    bar(label, total, unit = 'count') {
      let quarter = 0;
      let ended = false;
      const end = (text: string): void => {
        if (!ended) printNote(out, text);
        ended = true;
      };
      const tail = (detail: string | undefined): string => (detail === undefined || detail === '' ? '' : ` ${detail}`);
      return {
        update(done, detail) {
          const reached = total > 0 ? Math.min(3, Math.floor((done / total) * 4)) : 0;
          if (ended || reached <= quarter) return;
          quarter = reached;
          printNote(out, `${label}: ${quarter * 25}% ${amount(done, total, unit)}${tail(detail)}`);
        },
        finish: (detail) => end(`${label}: done ${amount(total, total, unit)}${tail(detail)}`),
        fail: (detail) => end(`${label}: failed${tail(detail)}`),
      };
    },
    close: () => undefined,
  };
}

function amount(done: number, total: number, unit: 'bytes' | 'count'): string {
  return unit === 'bytes' ? `${formatBytes(done)} of ${formatBytes(total)}` : `${done} of ${total}`;
}
