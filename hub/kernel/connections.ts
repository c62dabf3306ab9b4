import type { Server, Socket } from 'node:net';
import { seconds } from '#shared/kernel/time.js';

/** A connection that has not said who it is in TLS by then is ended (Node waits two minutes). */
export const TLS_HANDSHAKE = seconds(10);

/**
 * Every TCP connection of a server, also those that have not shaken hands yet or speak something else by now: a server waits for all
 * of them when it closes, and knows only its own.
 */
export class Connections {
  readonly #sockets = new Set<Socket>();

  /** Takes no more than `most`; those beyond are ended at once. */
  constructor(server: Server, most = Number.POSITIVE_INFINITY) {
    server.on('connection', (socket: Socket) => {
      if (this.#sockets.size >= most) {
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  endAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
