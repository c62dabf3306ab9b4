import { counted } from '#shared/kernel/counted.js';
import { formatBytes } from '#shared/terminal/format.js';
import { type Output, paint, printLine, printNote } from '#shared/terminal/output.js';
import type { Progress, ProgressBar } from '#shared/terminal/progress.js';
import type { PublishResult, PublishStep } from '../publisher/publish.js';

// How publishing shows itself, of models and of the agent alike.

/** Shows the steps of an upload. */
export function showPublish(out: Output, progress: Progress): (step: PublishStep) => void {
  const bars = barsOf(progress);
  return (step) => {
    switch (step.kind) {
      case 'present':
        printNote(out, `${step.files} of ${counted(step.of, 'file')} (${formatBytes(step.bytes)}) on the hub already`);
        break;
      case 'uploading':
        bars(`upload ${counted(step.files, 'file')}`, step.sent, step.bytes);
        break;
      case 'signing':
        printNote(out, `signing ${step.path}; the hub checks everything again`);
        break;
    }
  };
}

/** One bar per label, made when first needed and finished when full. */
export function barsOf(progress: Progress): (label: string, done: number, total: number) => void {
  const bars = new Map<string, ProgressBar>();
  return (label, done, total) => {
    const bar = bars.get(label) ?? progress.bar(label, total, 'bytes');
    bars.set(label, bar);
    if (done >= total) bar.finish();
    else bar.update(done);
  };
}

/** Says what was published, or that it was there already. */
export function printResult(out: Output, result: PublishResult): void {
  const name = paint(out, 'bold', `${result.model}@${result.version}`);
  if (!result.created) {
    printLine(out, `already published as ${name}`);
    return;
  }
  const saved = result.totalBytes - result.uploadedBytes;
  const reused = saved === 0 ? '' : `, ${formatBytes(saved)} were there already`;
  printLine(out, `${paint(out, 'green', 'published')} ${name} (${formatBytes(result.uploadedBytes)} uploaded${reused})`);
  printLine(out, `manifest sha256:${result.manifest}`);
}
