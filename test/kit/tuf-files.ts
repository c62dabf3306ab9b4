import { join } from 'node:path';
import { TufTrustClient } from '#agent/sync/trust-client.js';
import { TRUST_INDEX_FILE, TrustMirror } from '#agent/sync/trust-mirror.js';
import { systemClock } from '#shared/kernel/clock.js';
import { canonicalForm } from '#shared/trust/canonical-form.js';
import { generateSigningKey, type SigningKey, tufKeyObject } from '#shared/trust/keys.js';
import { type JsonObject, sha256Hex } from '#shared/trust/metadata.js';
import { MIRROR_DEADLINE, temporaryFolder } from './trust-world.js';

const FLEET = 'conformance';
export const FUTURE = '2999-01-01T00:00:00Z';
export const PAST = '2020-01-01T00:00:00Z';

type Role = { keyids: string[]; threshold: number } & JsonObject;
interface Draft {
  /** The `signed` part; `version` counts up by itself. */
  signed: JsonObject;
  signers: SigningKey[];
}

interface WriteOptions {
  readonly version?: number;
  readonly expires?: string;
  readonly signatures?: (made: JsonObject[]) => unknown[];
  /** Changes the signed part of this file alone. */
  readonly change?: (signed: JsonObject) => JsonObject;
}

/**
 * TUF files made by hand, so that a test can make any file, also such as no tool of ours would: root, timestamp, snapshot,
 * targets and the publishers acme (models/acme-*) and bob (models/bob-*). A file changes when it is written.
 */
export class TufFiles {
  readonly files = new Map<string, Uint8Array>();
  readonly drafts = new Map<string, Draft>();
  readonly newest = new Map<string, Uint8Array>();

  constructor() {
    const key = generateSigningKey;
    const signers = { root: [key()], timestamp: [key()], snapshot: [key()], targets: [key()], acme: [key()], bob: [key()] };
    const common = { spec_version: '1.0.31', version: 0, expires: FUTURE };
    const director = Buffer.from(JSON.stringify({ schema: 'skerry.director/1', fleet: FLEET, keys: [key().publicKey] }));
    this.files.set(`${sha256Hex(director)}.director.json`, director);
    const draft = (name: keyof typeof signers, signed: JsonObject): void => {
      this.drafts.set(name, { signed: { ...common, ...signed }, signers: signers[name] });
    };
    const top = ['root', 'timestamp', 'snapshot', 'targets'] as const;
    draft('root', {
      _type: 'root',
      consistent_snapshot: true,
      keys: Object.assign({}, ...top.map((name) => keysOf(signers[name]))) as JsonObject,
      roles: Object.fromEntries(top.map((name) => [name, roleOf(signers[name])])),
    });
    draft('targets', {
      _type: 'targets',
      targets: { 'hub/director.json': { length: director.byteLength, hashes: { sha256: sha256Hex(director) } } },
      delegations: {
        keys: { ...keysOf(signers.acme), ...keysOf(signers.bob) },
        roles: ['acme', 'bob'].map((name) => ({
          ...roleOf(signers[name as 'acme']),
          name,
          terminating: false,
          paths: [`models/${name}-*/*`],
        })),
      },
    });
    for (const name of ['acme', 'bob'] as const) draft(name, { _type: 'targets', targets: { [modelPath(name, 1)]: target(name) } });
    draft('snapshot', { _type: 'snapshot', meta: {} });
    draft('timestamp', { _type: 'timestamp', issued_at: '2026-01-01T00:00:00Z', meta: {} });
    this.write('root');
    this.write('targets', 'acme', 'bob');
    this.publish();
  }

  draft(role: string): Draft {
    const draft = this.drafts.get(role);
    if (draft === undefined) throw new Error(`no role ${role}`);
    return draft;
  }

  /** The signed part of the next root, to be changed in place. */
  get root(): { keys: Record<string, JsonObject>; roles: Record<string, Role> } & JsonObject {
    return this.draft('root').signed as ReturnType<() => { keys: Record<string, JsonObject>; roles: Record<string, Role> } & JsonObject>;
  }

  /** Writes the next version of roles. */
  write(...input: (string | WriteOptions)[]): this {
    const options = input.find((part): part is WriteOptions => typeof part === 'object') ?? {};
    for (const role of input) if (typeof role === 'string') this.#write(role, options);
    return this;
  }

  #write(role: string, { version, expires, signatures, change }: WriteOptions): void {
    const draft = this.draft(role);
    draft.signed['version'] = version ?? Number(draft.signed['version']) + 1;
    const dated: JsonObject = { ...draft.signed, ...(expires === undefined ? {} : { expires }) };
    const signed: JsonObject = change?.(structuredClone(dated)) ?? dated;
    const message = canonicalForm(signed);
    const made = draft.signers.map((key) => ({ keyid: key.keyId, sig: Buffer.from(key.sign(message)).toString('hex') }));
    const bytes = Buffer.from(JSON.stringify({ signatures: signatures?.(made) ?? made, signed }));
    this.newest.set(role, bytes);
    this.files.set(role === 'timestamp' ? 'timestamp.json' : `${Number(signed['version'])}.${role}.json`, bytes);
  }

  /** Writes snapshot and timestamp over what is newest. */
  publish(options: { readonly snapshot?: WriteOptions; readonly timestamp?: WriteOptions } = {}): this {
    const meta = Object.fromEntries(['targets', 'acme', 'bob'].map((role) => [`${role}.json`, this.metaOf(role)]));
    this.draft('snapshot').signed['meta'] = meta;
    this.write('snapshot', options.snapshot ?? {});
    this.draft('timestamp').signed['meta'] = { 'snapshot.json': this.metaOf('snapshot') };
    return this.write('timestamp', options.timestamp ?? {});
  }

  metaOf(role: string): JsonObject {
    const bytes = this.newest.get(role) ?? new Uint8Array();
    const { signed } = JSON.parse(Buffer.from(bytes).toString()) as { signed: { version: number } };
    return { version: signed.version, length: bytes.byteLength, hashes: { sha256: sha256Hex(bytes) } };
  }

  /** Gives a role of the root other keys. */
  rotate(role: string, threshold = 1, count = 1): SigningKey[] {
    const keys = Array.from({ length: count }, generateSigningKey);
    Object.assign(this.root.keys, keysOf(keys));
    this.root.roles[role] = { ...roleOf(keys), threshold };
    // A new root is signed by the old keys and the new ones (TUF 6.1).
    if (role === 'root') this.draft('root').signers.push(...keys);
    else this.draft(role).signers = keys;
    return keys;
  }
}

export function keysOf(keys: readonly SigningKey[]): Record<string, JsonObject> {
  return Object.fromEntries(keys.map((key) => [key.keyId, { ...tufKeyObject(key.publicKey), keyval: { public: key.publicKey } }]));
}

function roleOf(keys: readonly SigningKey[]): Role {
  return { keyids: keys.map(({ keyId }) => keyId), threshold: 1 };
}

export function modelPath(role: string, version: number): string {
  return `models/${role}-model/${version}.json`;
}

export function target(content: string): JsonObject {
  return { length: content.length, hashes: { sha256: sha256Hex(Buffer.from(content)) } };
}

/** A device that pins the first root of the files, and what it is given of them. */
export class ConformingDevice {
  readonly folder: string;
  readonly client: TufTrustClient;
  readonly #mirror = new TrustMirror(systemClock);

  private constructor(folder: string) {
    this.folder = folder;
    this.client = new TufTrustClient({ folder, fleet: FLEET, clock: systemClock, mirror: this.#mirror, mirrorDeadline: MIRROR_DEADLINE });
  }

  static async pin(repository: TufFiles): Promise<ConformingDevice> {
    const device = new ConformingDevice(join(await temporaryFolder('conformance'), 'trust'));
    await device.client.pin(repository.files.get('1.root.json') ?? new Uint8Array());
    return device;
  }

  /** The device after a restart. */
  again(): ConformingDevice {
    return new ConformingDevice(this.folder);
  }

  /** Refreshes over the files, without those that `hold` names; resolves with the code of the failure. */
  async refresh(repository: TufFiles | ReadonlyMap<string, Uint8Array>, ...hold: string[]): Promise<string> {
    const files = repository instanceof TufFiles ? repository.files : repository;
    const names = [...files.keys()].filter((name) => !hold.includes(name));
    this.#mirror.clear();
    for (const name of names) this.#mirror.put(name, files.get(name) ?? new Uint8Array());
    this.#mirror.put(TRUST_INDEX_FILE, Buffer.from(JSON.stringify({ files: names })));
    return this.client.refresh().then(
      () => 'ok',
      (cause: unknown) => (cause as { code?: string }).code ?? String(cause),
    );
  }
}
