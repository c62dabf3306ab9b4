import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** A network cable between two real programs: counts what passes and can be cut and joined again. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: number;
  #cut = false;
  #rate = Number.POSITIVE_INFINITY;
  #connections = 0;
  /** Bytes from the listening side to the target, and back. */
  readonly bytes = { toTarget: 0, fromTarget: 0 };
  /** Sees everything that passes, before it is passed on; `connection` counts from 1. */
  tap: ((data: Buffer, from: 'client' | 'target', connection: number) => void) | undefined;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (client) => this.#join(client));
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new TcpProxy(server, targetPort);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Breaks every connection and refuses new ones until `join`. */
  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  join(targetPort = this.#target): void {
    this.#target = targetPort;
    this.#cut = false;
  }

  /** From now on no more than so many bytes a second come from the target. */
  throttle(bytesPerSecond: number): void {
    this.#rate = bytesPerSecond;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(client: Socket): void {
    if (this.#cut) {
      client.destroy();
      return;
    }
    const target = connect(this.#target, '127.0.0.1');
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
    }
    this.#connections += 1;
    const connection = this.#connections;
    client.on('data', (data) => {
      this.bytes.toTarget += data.length;
      this.tap?.(data, 'client', connection);
    });
    target.on('data', (data) => {
      this.bytes.fromTarget += data.length;
      this.tap?.(data, 'target', connection);
      const full = !client.write(data);
      if (!full && this.#rate === Number.POSITIVE_INFINITY) return;
      target.pause();
      setTimeout(
        () => {
          if (client.writableNeedDrain) client.once('drain', () => target.resume());
          else target.resume();
        },
        (1000 * data.length) / this.#rate,
      );
    });
    client.once('close', () => target.destroy());
    // What came before the end still reaches the client.
    target.once('close', () => client.destroySoon());
    client.pipe(target);
  }
}
