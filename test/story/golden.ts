import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Recording } from './audio.js';

const FRAME_WITH_CONTEXT = 576;

/** Writes golden inputs cut from the recording, one frame of speech and one of silence, and returns the files. */
export async function goldenFiles(folder: string, recording: Recording): Promise<readonly string[]> {
  const speech = recording.speech[0];
  if (speech === undefined) throw new Error('the recording holds no speech');
  const moments = { speech: (speech.from + speech.to) / 2, silence: speech.from / 2 };
  return Promise.all(
    Object.entries(moments).map(([name, at]) => {
      const start = Math.round(at * recording.sampleRate);
      const input = Array.from(recording.samples.subarray(start, start + FRAME_WITH_CONTEXT));
      return writeGolden(folder, name, {
        input: { shape: [1, FRAME_WITH_CONTEXT], data: input },
        state: { shape: [2, 1, 128], fill: 0 },
        sr: { data: [recording.sampleRate] },
      });
    }),
  );
}

/** One frame of silence alone. */
export async function silenceGoldenFile(folder: string, recording: Recording): Promise<string> {
  const files = await goldenFiles(folder, recording);
  const silence = files.find((file) => path.basename(file).includes('silence'));
  if (silence === undefined) throw new Error('no golden sample of silence');
  return silence;
}

/** Golden inputs of the oldest Silero VAD, whose state is two tensors. */
export async function legacyGoldenFiles(folder: string): Promise<readonly string[]> {
  const state = { shape: [2, 1, 64], fill: 0 };
  return [
    await writeGolden(folder, 'legacy', { input: { shape: [1, 1536], random: [-0.1, 0.1] }, sr: { data: [16_000] }, h: state, c: state }),
  ];
}

/** The files as arguments of `skerry publish`. */
export function goldenArgs(files: readonly string[]): readonly string[] {
  return files.flatMap((file) => ['--golden', file]);
}

async function writeGolden(folder: string, name: string, inputs: Readonly<Record<string, unknown>>): Promise<string> {
  const file = path.join(folder, `golden-${name}.json`);
  await writeFile(file, JSON.stringify({ inputs }));
  return file;
}
