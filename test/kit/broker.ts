import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes, type Client, type PublishPacket } from 'aedes';

/** A message a client published, in the order the broker took them. */
export interface SeenMessage {
  readonly client: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly retain: boolean;
}

/** A plain MQTT broker without rules, on a port that stays the same over kills and restarts. It forgets everything when it goes. */
export class TestBroker {
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #starts = 0;
  readonly seen: SeenMessage[] = [];
  readonly #listeners: ((message: SeenMessage) => void)[] = [];
  /** Set to stand in an attacker's place: what a client publishes is carried on as this returns it, or not at all. */
  alter: (topic: string, payload: Buffer) => Buffer | undefined = (_topic, payload) => payload;
  /** Set to refuse clients. */
  authenticate: (client: string, username: string | undefined, password: string | undefined) => boolean = () => true;

  static async start(): Promise<TestBroker> {
    const broker = new TestBroker();
    await broker.restart();
    return broker;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  get running(): boolean {
    return this.#aedes !== undefined;
  }

  /** Counts the starts; `undefined` while it is down. */
  get session(): number | undefined {
    return this.running ? this.#starts : undefined;
  }

  /** Payloads published to a topic so far. */
  on(topic: string): Buffer[] {
    return this.seen.filter((message) => message.topic === topic).map((message) => message.payload);
  }

  /** Calls `listener` for every message the broker takes, over restarts. */
  onMessage(listener: (message: SeenMessage) => void): void {
    this.#listeners.push(listener);
  }

  /** Starts an empty broker on the same port. */
  async restart(): Promise<void> {
    await this.kill();
    const aedes = await Aedes.createBroker();
    aedes.authenticate = (client, username, password, done) => {
      const good = this.authenticate(client.id, username ?? undefined, password?.toString());
      done(null, good);
    };
    aedes.authorizePublish = (_client, packet, done) => {
      const carried = this.alter(packet.topic, Buffer.from(packet.payload));
      // To the sender all is well: an error here would end its connection.
      if (carried === undefined) packet.topic = `dropped/${packet.topic}`;
      else packet.payload = carried;
      done(null);
    };
    aedes.on('publish', (packet: PublishPacket, client: Client | null) => {
      if (packet.topic.startsWith('$SYS')) return;
      const payload = Buffer.from(packet.payload);
      const message = { client: client?.id ?? '', topic: packet.topic, payload, retain: packet.retain };
      this.seen.push(message);
      for (const listener of this.#listeners) listener(message);
    });
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
      aedes.handle(socket);
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#starts += 1;
    this.#aedes = aedes;
    this.#server = server;
  }

  /** Cuts every connection at once and stops listening; retained messages and sessions are gone. */
  async kill(): Promise<void> {
    const server = this.#server;
    const aedes = this.#aedes;
    this.#server = undefined;
    this.#aedes = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
    if (aedes !== undefined) await new Promise<void>((resolve) => aedes.close(() => resolve()));
  }

  /** Cuts the connections only; clients may come back at once. */
  disconnectAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Publishes as if a hub did. */
  publish(topic: string, payload: Uint8Array | string, options: { retain?: boolean } = {}): Promise<void> {
    const aedes = this.#aedes;
    if (aedes === undefined) throw new Error('the broker is down');
    return new Promise((resolve, reject) => {
      aedes.publish(
        { cmd: 'publish', qos: 1, dup: false, retain: options.retain ?? false, topic, payload: Buffer.from(payload) },
        (error) => (error === undefined || error === null ? resolve() : reject(error)),
      );
    });
  }
}
