import type { Recording } from './audio.js';
import type { Narrator } from './narrator.js';
import type { Frame } from './vad-client.js';

const WIDTH = 72;
const THRESHOLD = 0.5;
const LEVELS = ' ▁▂▃▄▅▆▇█';

export interface Agreement {
  /** Share of the frames on which model and recording agree, 0 to 1. */
  readonly share: number;
  readonly text: readonly string[];
}

/** Draws what the recording holds above what the model said, and counts how often both agree. */
export function drawTimeline(
  { recording, tell }: { readonly recording: Recording; readonly tell: Narrator },
  frames: readonly Frame[],
): Agreement {
  const seconds = recording.samples.length / recording.sampleRate;
  const cells = Array.from({ length: WIDTH }, (_, i) => ({ from: (i / WIDTH) * seconds, to: ((i + 1) / WIDTH) * seconds }));
  const known = cells.map(({ from, to }) => (isSpeech(recording, (from + to) / 2) ? '█' : '·')).join('');
  const heard = cells
    .map(({ from, to }) => {
      const inside = frames.filter((frame) => frame.at >= from && frame.at < to);
      const mean = inside.reduce((sum, frame) => sum + frame.probability, 0) / Math.max(1, inside.length);
      return LEVELS[Math.round(mean * (LEVELS.length - 1))] ?? ' ';
    })
    .join('');
  const agreeing = frames.filter((frame) => frame.probability >= THRESHOLD === isSpeech(recording, frame.at)).length;
  const share = frames.length === 0 ? 0 : agreeing / frames.length;
  const ruler = cells.map((_, i) => (i % 12 === 0 ? '|' : ' ')).join('');
  const labels = cells.map((cell, i) => (i % 12 === 0 ? `${cell.from.toFixed(0)} s`.padEnd(12) : '')).join('');
  return {
    share,
    text: [
      `  the recording  ${tell.paint('cyan', known)}`,
      `  the model      ${tell.paint('green', heard)}`,
      `                 ${tell.paint('dim', ruler)}`,
      `                 ${tell.paint('dim', labels)}`,
      `  ${frames.length} predictions, model and recording agree on ${(share * 100).toFixed(1)} % of them`,
    ],
  };
}

function isSpeech(recording: Recording, at: number): boolean {
  return recording.speech.some((segment) => at >= segment.from && at < segment.to);
}
