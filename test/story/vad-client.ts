import type { Recording } from './audio.js';

/** Silero VAD at 16 kHz takes 512 new samples, behind the last 64 of the ones before (its published wrapper does the same). */
export const FRAME = 512;
const CONTEXT = 64;
const STATE = 2 * 1 * 128;

interface InferBody {
  readonly model_version: string;
  readonly outputs: readonly { readonly name: string; readonly data: readonly number[] }[];
}

export interface Frame {
  /** Middle of the frame, seconds from the start. */
  readonly at: number;
  readonly probability: number;
  readonly version: string;
  readonly millis: number;
}

/** A caller as an application on the device would be: one audio stream, its state carried from request to request. */
export class VadStream {
  readonly #url: string;
  readonly #recording: Recording;
  #state: readonly number[] = Array.from({ length: STATE }, () => 0);
  #position = 0;

  constructor(baseUrl: string, recording: Recording, model = 'vad') {
    this.#url = `${baseUrl}/v2/models/${model}/infer`;
    this.#recording = recording;
  }

  /** Sends the next frame; starts over at the end of the recording. Rejects when the answer is not 200. */
  async next(): Promise<Frame> {
    const { samples, sampleRate } = this.#recording;
    if (this.#position + FRAME > samples.length) this.#rewind();
    const start = this.#position;
    this.#position += FRAME;
    const input = new Float32Array(CONTEXT + FRAME);
    input.set(samples.subarray(Math.max(0, start - CONTEXT), start), Math.max(0, CONTEXT - start));
    input.set(samples.subarray(start, start + FRAME), CONTEXT);
    const sent = performance.now();
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        inputs: [
          { name: 'input', datatype: 'FP32', shape: [1, CONTEXT + FRAME], data: Array.from(input) },
          { name: 'state', datatype: 'FP32', shape: [2, 1, 128], data: this.#state },
          { name: 'sr', datatype: 'INT64', shape: [], data: [sampleRate] },
        ],
      }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`prediction answered ${response.status}: ${text}`);
    const body = JSON.parse(text) as InferBody;
    this.#state = outputOf(body, 'stateN');
    const [probability] = outputOf(body, 'output');
    if (probability === undefined) throw new Error('prediction answered without a probability');
    return { at: (start + FRAME / 2) / sampleRate, probability, version: body.model_version, millis: performance.now() - sent };
  }

  /** The whole recording from the start. */
  async all(): Promise<readonly Frame[]> {
    this.#rewind();
    const frames: Frame[] = [];
    for (let i = 0; i < Math.floor(this.#recording.samples.length / FRAME); i += 1) frames.push(await this.next());
    return frames;
  }

  #rewind(): void {
    this.#position = 0;
    this.#state = Array.from({ length: STATE }, () => 0);
  }
}

function outputOf(body: InferBody, name: string): readonly number[] {
  const output = body.outputs.find((tensor) => tensor.name === name);
  if (output === undefined) throw new Error(`prediction answered without the output "${name}"`);
  return output.data;
}
