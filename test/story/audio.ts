import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PROJECT_ROOT } from '../kit/processes.js';

export interface Recording {
  readonly sampleRate: number;
  /** Mono samples in [-1, 1). */
  readonly samples: Float32Array;
  /** What the recording is known to hold, in seconds. */
  readonly speech: readonly { readonly from: number; readonly to: number }[];
}

/** Reads the recording that `test/assets/make-speech.sh` made, with its known contents. */
export async function readRecording(): Promise<Recording> {
  const folder = path.join(PROJECT_ROOT, 'test/assets');
  const [wav, known] = await Promise.all([
    readFile(path.join(folder, 'speech-and-silence.wav')),
    readFile(path.join(folder, 'speech-and-silence.json'), 'utf8'),
  ]);
  const { sampleRate, speech } = JSON.parse(known) as { sampleRate: number; speech: Recording['speech'] };
  return { sampleRate, samples: pcmOf(wav), speech };
}

/** Samples of a 16-bit mono RIFF/WAVE file. */
function pcmOf(wav: Buffer): Float32Array {
  let offset = 12;
  while (offset + 8 <= wav.length) {
    const id = wav.toString('latin1', offset, offset + 4);
    const length = wav.readUInt32LE(offset + 4);
    if (id === 'data') {
      const samples = new Float32Array(length / 2);
      for (let i = 0; i < samples.length; i += 1) samples[i] = wav.readInt16LE(offset + 8 + i * 2) / 32_768;
      return samples;
    }
    offset += 8 + length + (length & 1);
  }
  throw new Error('the recording has no data chunk');
}
