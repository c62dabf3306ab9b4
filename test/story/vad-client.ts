import { connect } from '#shared/client/connect.js';
import type { Client } from '#shared/client/client.js';
import type { Recording } from './audio.js';

/** Silero VAD at 16 kHz takes 512 new samples, behind the last 64 of the ones before (its published wrapper does the same). */
export const FRAME = 512;
const CONTEXT = 64;
const STATE = [2, 1, 128];
const silent = (): Float32Array => new Float32Array(2 * 1 * 128);

export interface Frame {
  /** Middle of the frame, seconds from the start. */
  readonly at: number;
  readonly probability: number;
  readonly version: string;
  readonly millis: number;
}

/** A caller as an application on the device would be: one audio stream, its state carried from request to request. */
export class VadStream {
  readonly #client: Promise<Client>;
  readonly #model: string;
  readonly #recording: Recording;
  #state = silent();
  #position = 0;

  constructor(baseUrl: string, recording: Recording, model = 'vad') {
    this.#client = connect(baseUrl);
    this.#model = model;
    this.#recording = recording;
  }

  /** Sends the next frame; starts over at the end of the recording. Rejects when the server refuses. */
  async next(): Promise<Frame> {
    const { samples, sampleRate } = this.#recording;
    if (this.#position + FRAME > samples.length) this.#rewind();
    const start = this.#position;
    this.#position += FRAME;
    const input = new Float32Array(CONTEXT + FRAME);
    input.set(samples.subarray(Math.max(0, start - CONTEXT), start), Math.max(0, CONTEXT - start));
    input.set(samples.subarray(start, start + FRAME), CONTEXT);
    const sent = performance.now();
    const client = await this.#client;
    const answer = await client.infer(this.#model, {
      input: { shape: [1, CONTEXT + FRAME], data: input },
      state: { shape: STATE, data: this.#state },
      sr: { shape: [], data: BigInt64Array.of(BigInt(sampleRate)) },
    });
    this.#state = answer.values('stateN', 'FP32');
    const [probability] = answer.values('output', 'FP32');
    if (probability === undefined) throw new Error('prediction answered without a probability');
    return { at: (start + FRAME / 2) / sampleRate, probability, version: answer.version, millis: performance.now() - sent };
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
    this.#state = silent();
  }
}
