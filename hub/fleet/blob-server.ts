import { randomUUID } from 'node:crypto';
import { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import type { FetchPolicy } from '#hub/broker/credentials.js';
import type { BrokerPort } from '#hub/broker/link.js';
import { bitmapFromBase64, countBits } from '#shared/bundle/bitmap.js';
import type { Digest } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { asSkerryError, hasCode, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { FetchRequest } from '#shared/protocol/messages.js';
import { blobTopic, deviceTopic } from '#shared/protocol/topics.js';
import { BlobSchedule, type Piece } from './blob-schedule.js';
import type { BlobSource, ServableBlob } from './hub-blobs.js';

interface BlobServerDeps {
  readonly link: BrokerPort;
  readonly fleet: string;
  readonly source: BlobSource;
  readonly rights: FetchPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings?: Partial<BlobServerSettings>;
}

export interface BlobServerSettings {
  /** Pieces published and not yet taken by the broker: bounds the memory of the hub and of a broker's queues. */
  readonly window: number;
  /**
   * Before the first piece of a blob goes out, requests for it gather until none has come for this long, so that devices told at the
   * same moment share one answer: each that comes later has what it missed sent again, to everyone who still listens.
   */
  readonly gather: Millis;
  /** And for no longer than this. */
  readonly gatherMost: Millis;
  /** Blobs answered at once. */
  readonly maxBlobs: number;
}

const DEFAULTS: BlobServerSettings = { window: 16, gather: 60, gatherMost: 600, maxBlobs: 1_024 };
/** Blobs whose number of pieces is kept in mind, so that a wrong one is seen without reading a manifest. */
const KNOWN_COUNTS = 4_096;
/** What one device may cause in a minute: blobs looked up, and refusals told. What it asks for beyond is left unanswered, and it asks again. */
const OPENED = { failures: 128, window: minutes(1), addresses: 10_000 } as const;
const REFUSED = { failures: 16, window: minutes(1), addresses: 10_000 } as const;
/** How long a device keeps a refusal in mind that it has not received. */
const REFUSAL_EXPIRES = minutes(5);

interface Open {
  readonly kind: FetchRequest['kind'];
  readonly blob: ServableBlob;
  readonly askers: Set<DeviceId>;
}

/**
 * Answers `fetch` requests by publishing the missing pieces for everyone at once. It stands in `fleet` and not in `broker`
 * because it needs to know what a manifest is; the broker only carries bytes. Requests are not acknowledged and not kept:
 * a device that got nothing asks again, so everything here may be lost at any time.
 */
export class BlobServer implements Service {
  readonly #deps: BlobServerDeps;
  readonly #settings: BlobServerSettings;
  readonly #schedule: BlobSchedule;
  readonly #open = new Map<Digest, Open>();
  /** By kind and digest: what is being looked up, and how many pieces what was looked up has. */
  readonly #opening = new Map<string, Promise<ServableBlob | undefined>>();
  readonly #counts = new Map<string, number>();
  readonly #opened: FailureLimiter;
  readonly #refused: FailureLimiter;
  #inFlight = 0;
  #sent = { pieces: 0, bytes: 0 };
  readonly #gathering = new Map<Digest, { readonly until: Millis; readonly cancel: () => void }>();
  #closed = false;

  constructor(deps: BlobServerDeps) {
    this.#deps = deps;
    this.#settings = { ...DEFAULTS, ...deps.settings };
    this.#opened = new FailureLimiter(deps.clock, OPENED);
    this.#refused = new FailureLimiter(deps.clock, REFUSED);
    this.#schedule = new BlobSchedule({ maxBlobs: this.#settings.maxBlobs });
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
    this.#forget();
  }

  /** Pieces and bytes the broker has taken, and pieces waiting. */
  get figures(): { readonly pieces: number; readonly bytes: number; readonly waiting: number } {
    return { ...this.#sent, waiting: this.#schedule.waiting };
  }

  /** Takes a request in; resolves once it is scheduled or refused, or left unanswered: one for nothing, or one too many. */
  async request(request: FetchRequest): Promise<void> {
    if (this.#refused.waitOf(request.device) > 0) return;
    try {
      const missing = bitmapFromBase64(request.missing, request.pieces);
      if (missing === undefined) throw new SkerryError('BLOB_PIECES_MISMATCH', 'the bitmap does not fit the number of pieces');
      if (countBits(missing) === 0) return;
      checkCount(request, this.#counts.get(keyOf(request)));
      const open = await this.#find(request);
      if (open === undefined) return;
      await this.#checkRight(request, open);
      checkCount(request, open.blob.pieces);
      if (this.#closed || this.#schedule.request(request.digest, request.pieces, missing) === 'full') return;
      open.askers.add(request.device);
      this.#open.set(request.digest, open);
      if (this.#schedule.isGathering(request.digest)) this.#gather(request.digest);
      else this.#pump();
    } catch (cause) {
      this.#refused.failed(request.device);
      await this.#refuse(request.device, request.digest, asSkerryError(cause));
    }
  }

  /** Throws `BLOB_FORBIDDEN` unless a desired state of the device leads to the blob. */
  async #checkRight({ device, digest, kind }: FetchRequest, open: Open): Promise<void> {
    if (open.askers.has(device)) return;
    if (!(await this.#deps.rights.mayFetch(device, digest))) {
      throw new SkerryError('BLOB_FORBIDDEN', `no desired state of ${device} names the ${kind} ${digest}`);
    }
  }

  /** Undefined when the device has had too many looked up. */
  async #find(request: FetchRequest): Promise<Open | undefined> {
    const known = this.#open.get(request.digest);
    if (known?.kind === request.kind) return known;
    if (this.#opened.waitOf(request.device) > 0) return undefined;
    this.#opened.failed(request.device);
    const blob = await this.#lookUp(request);
    if (blob === undefined) throw new SkerryError('BLOB_UNKNOWN', `the hub holds no ${request.kind} ${request.digest}`);
    // Another request may have opened it meanwhile.
    return this.#open.get(request.digest) ?? { kind: request.kind, blob, askers: new Set() };
  }

  /** Once for all who ask meanwhile: it may mean to read a manifest of megabytes. */
  #lookUp(request: FetchRequest): Promise<ServableBlob | undefined> {
    const key = keyOf(request);
    const under = this.#opening.get(key);
    if (under !== undefined) return under;
    const opening = this.#deps.source
      .open(request.kind, request.digest)
      .then((blob) => {
        if (blob !== undefined) this.#keepCount(key, blob.pieces);
        return blob;
      })
      .finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  #keepCount(key: string, pieces: number): void {
    this.#counts.set(key, pieces);
    if (this.#counts.size <= KNOWN_COUNTS) return;
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined) this.#counts.delete(oldest);
  }

  /** Waits for more who want the same. */
  #gather(digest: Digest): void {
    const { clock } = this.#deps;
    const { gather, gatherMost } = this.#settings;
    const now = clock.monotonic();
    const known = this.#gathering.get(digest);
    known?.cancel();
    const until = known?.until ?? now + gatherMost;
    const cancel = clock.schedule(Math.min(gather, Math.max(0, until - now)), () => {
      this.#gathering.delete(digest);
      this.#schedule.begin(digest);
      this.#pump();
    });
    this.#gathering.set(digest, { until, cancel });
  }

  #pump(): void {
    while (this.#inFlight < this.#settings.window && !this.#closed) {
      const piece = this.#schedule.next();
      if (piece === undefined) {
        if (this.#inFlight === 0 && this.#gathering.size === 0) this.#open.clear();
        return;
      }
      this.#inFlight += 1;
      void this.#send(piece).finally(() => {
        this.#inFlight -= 1;
        this.#pump();
      });
    }
  }

  async #send(piece: Piece): Promise<void> {
    const open = this.#open.get(piece.digest);
    if (open === undefined) return;
    try {
      const bytes = await open.blob.read(piece.index);
      await this.#deps.link.publish(blobTopic(this.#deps.fleet, piece.digest, piece.index), bytes);
      this.#sent = { pieces: this.#sent.pieces + 1, bytes: this.#sent.bytes + bytes.byteLength };
    } catch (cause) {
      if (hasCode(cause, 'BROKER_OFFLINE')) this.#forget();
      else await this.#giveUp(piece.digest, open, asSkerryError(cause));
    }
  }

  /** The bytes are gone or unreadable: everyone who asked is told, once for all pieces that were on their way. */
  async #giveUp(digest: Digest, open: Open, cause: SkerryError): Promise<void> {
    if (this.#open.get(digest) !== open) return;
    this.#deps.logger.error({ digest, code: cause.code, cause: cause.message }, 'a blob could not be read');
    this.#schedule.drop(digest);
    this.#gathering.get(digest)?.cancel();
    this.#gathering.delete(digest);
    this.#open.delete(digest);
    for (const device of open.askers) await this.#refuse(device, digest, cause);
  }

  async #refuse(device: DeviceId, digest: Digest, error: SkerryError): Promise<void> {
    const { clock, link, fleet, logger } = this.#deps;
    logger.warn({ device, digest, code: error.code }, 'fetch refused');
    const cmd = encodeMessage('cmd', {
      device,
      id: randomUUID(),
      expires: new Date(clock.now() + REFUSAL_EXPIRES).toISOString(),
      kind: 'fetch-refused',
      digest,
      error: { code: error.code, message: error.message.slice(0, 2_048) },
    });
    await link.publish(deviceTopic(fleet, device, 'cmd'), cmd).catch((cause: unknown) => {
      logger.debug({ device, cause: asSkerryError(cause).message }, 'refusal not delivered; the device will ask again');
    });
  }

  #forget(): void {
    this.#schedule.clear();
    for (const { cancel } of this.#gathering.values()) cancel();
    this.#gathering.clear();
    this.#open.clear();
  }
}

function keyOf({ kind, digest }: FetchRequest): string {
  return `${kind} ${digest}`;
}

/** Throws `BLOB_PIECES_MISMATCH` when the blob is known to have another number of pieces than the request says. */
function checkCount(request: FetchRequest, pieces: number | undefined): void {
  if (pieces === undefined || pieces === request.pieces) return;
  throw new SkerryError('BLOB_PIECES_MISMATCH', `the blob has ${pieces} pieces, the request counts ${request.pieces}`);
}
