import type { Recording } from './audio.js';
import { VadStream } from './vad-client.js';

export interface LoadResult {
  readonly sent: number;
  readonly failures: readonly string[];
  /** How many answers each version gave. */
  readonly byVersion: ReadonlyMap<string, number>;
  readonly slowestMs: number;
}

/** A steady stream of predictions against one agent, one request at a time, as an application on the device makes them. */
export class SteadyLoad {
  readonly #stream: VadStream;
  readonly #pauseMs: number;
  readonly #failures: string[] = [];
  readonly #byVersion = new Map<string, number>();
  #sent = 0;
  #slowestMs = 0;
  #running = true;
  readonly #done: Promise<void>;

  constructor(baseUrl: string, recording: Recording, pauseMs: number) {
    this.#stream = new VadStream(baseUrl, recording);
    this.#pauseMs = pauseMs;
    this.#done = this.#run();
  }

  /** Ends after the request under way. */
  async stop(): Promise<LoadResult> {
    this.#running = false;
    await this.#done;
    return { sent: this.#sent, failures: this.#failures, byVersion: this.#byVersion, slowestMs: this.#slowestMs };
  }

  get sent(): number {
    return this.#sent;
  }

  async #run(): Promise<void> {
    while (this.#running) {
      this.#sent += 1;
      try {
        const frame = await this.#stream.next();
        this.#byVersion.set(frame.version, (this.#byVersion.get(frame.version) ?? 0) + 1);
        this.#slowestMs = Math.max(this.#slowestMs, frame.millis);
      } catch (cause) {
        this.#failures.push(cause instanceof Error ? cause.message : String(cause));
      }
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }
}
