import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** A kept-alive connection that sends the same bytes again and again and reads answers by their length: it costs little beside the server. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #seen: Buffer = Buffer.alloc(0);
  #done: ((status: number) => void) | undefined;
  #failed: ((cause: Error) => void) | undefined;

  private constructor(socket: Socket, request: Buffer) {
    this.#socket = socket;
    this.#request = request;
    socket.setNoDelay(true);
    socket.on('data', (part: Buffer) => this.#take(part));
    socket.on('error', (cause) => this.#failed?.(cause));
    socket.on('close', () => this.#failed?.(new Error('the server closed the connection')));
  }

  static async open(where: NetConnectOpts, request: Buffer): Promise<RawConnection> {
    const socket = connect(where);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawConnection(socket, request);
  }

  /** Sends the request; rejects when the answer is not 200. */
  async ask(): Promise<void> {
    const status = await new Promise<number>((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
      this.#socket.write(this.#request);
    });
    if (status !== 200) throw new Error(`the server answered ${status}`);
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #take(part: Buffer): void {
    this.#seen = this.#seen.length === 0 ? part : Buffer.concat([this.#seen, part]);
    const head = this.#seen.indexOf('\r\n\r\n');
    if (head === -1) return;
    const text = this.#seen.toString('latin1', 0, head);
    const length = /^content-length: (\d+)$/im.exec(text)?.[1];
    const complete = length === undefined ? this.#seen.subarray(-5).equals(LAST_CHUNK) : this.#seen.length >= head + 4 + Number(length);
    if (!complete) return;
    this.#seen = Buffer.alloc(0);
    this.#done?.(Number(text.slice(9, 12)));
  }
}

const LAST_CHUNK = Buffer.from('0\r\n\r\n');
