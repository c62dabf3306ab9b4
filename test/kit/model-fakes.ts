import { agentManifestSchema } from '#shared/bundle/agent-manifest.js';
import { AGENT_MODEL, type Digest, type ModelName, type VersionNumber } from '#shared/bundle/names.js';
import { bitIndices } from '#shared/bundle/bitmap.js';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { encodeManifest } from '#shared/bundle/manifest-codec.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import { MANIFEST_SCHEMA } from '#shared/bundle/manifest-parts.js';
import { modelManifestSchema } from '#shared/bundle/model-manifest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { DESIRED_SCHEMA, type DesiredModel, type DesiredState, desiredStateSchema } from '#shared/trust/desired.js';
import type { Recheck, ServableControl, ServableSpec, ServableStatus, TrafficPolicy } from '#agent/inference/contract.js';
import type { BlobFetcher, DesiredSource, TrustClient, VerifiedTarget } from '#agent/install/ports.js';
import type { PartialBlob } from '#agent/store/contract.js';
import type { AgentEvent, EventSink } from '#agent/store/events.js';
import { bytesFrom, DEVICE, digestOfBytes, piecesOf } from './agent-store.js';
import { modelName, versionNumber } from './servables.js';

const CHUNK = 4_000;

export interface FakeVersion {
  readonly model: ModelName;
  readonly version: VersionNumber;
  /** Digest of the manifest. */
  readonly manifest: Digest;
  readonly artifacts: readonly Digest[];
}

export interface VersionOptions {
  /** Content of the model file; equal parts are equal chunks. */
  readonly content?: Uint8Array;
  readonly providers?: readonly string[];
  readonly memoryBytes?: number;
  /** Width of the input (default 4). */
  readonly width?: number;
  /** Members of the manifest that a later release would write. */
  readonly later?: Readonly<Record<string, unknown>>;
}

/** Publisher, trusted metadata and blob source in one: what was not published is not there. */
export class FakeHub implements TrustClient, BlobFetcher {
  readonly blobs = new Map<string, readonly Uint8Array[]>();
  readonly targets = new Map<string, VerifiedTarget>();
  readonly minimums = new Map<string, number>();
  /** Digest and index of every piece handed out, in order. */
  readonly sent: string[] = [];
  /** Set to have the network gone, or the metadata refused. */
  refreshError: SkerryError | undefined;
  fetchError: SkerryError | undefined;
  /** Fetches that wait for what the test does in `beforePiece`. */
  hanging = 0;
  /** Called before each piece; may throw, or wait. */
  beforePiece: (digest: Digest, index: number, signal: AbortSignal) => Promise<void> | void = () => undefined;
  /** Pieces sent in place of the right ones. */
  readonly tampered = new Map<string, Uint8Array>();
  refreshes = 0;

  publish(name: string, number: number, options: VersionOptions = {}): FakeVersion {
    const model = modelName(name);
    const version = versionNumber(number);
    const content = options.content ?? bytesFrom(`${name} ${number}`, 10_000);
    const golden = bytesFrom(`golden ${name} ${number}`, 500);
    const [file, sample] = [this.#put(content, CHUNK), this.#put(golden, CHUNK)];
    const manifest = modelManifestSchema.parse({
      schema: MANIFEST_SCHEMA,
      model,
      version,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, options.width ?? 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
      variants: [
        {
          name: 'fp32',
          format: 'onnx',
          opset: 17,
          artifact: file.digest,
          requires: {
            providers: options.providers ?? ['cpu'],
            ...(options.memoryBytes === undefined ? {} : { memoryBytes: options.memoryBytes }),
          },
        },
      ],
      goldenSamples: [{ name: 'sample', artifact: sample.digest, tolerance: { absolute: 0, relative: 0 } }],
      artifacts: [file, sample],
    });
    const bytes = options.later === undefined ? encodeManifest(manifest) : canonicalJson({ ...manifest, ...options.later });
    const { digest } = this.#put(bytes, LIMITS.targetPieceBytes);
    const path = manifestTargetPath(model, version);
    this.targets.set(path, { path, length: bytes.byteLength, digest, custom: {} });
    return { model, version, manifest: digest, artifacts: [file.digest, sample.digest] };
  }

  /** Publishes a release of the agent with one executable, for a platform (default: linux-x64). */
  publishAgent(
    number: number,
    content: Uint8Array,
    options: { readonly arch?: 'x64' | 'arm64'; readonly takesOverFrom?: number } = {},
  ): FakeVersion {
    const { arch = 'x64', takesOverFrom = 1 } = options;
    const file = this.#put(content, CHUNK);
    const version = versionNumber(number);
    const manifest = agentManifestSchema.parse({
      schema: MANIFEST_SCHEMA,
      kind: 'agent',
      model: AGENT_MODEL,
      version,
      release: `0.${number}.0`,
      takesOverFrom,
      variants: [{ name: `linux-${arch}`, platform: 'linux', arch, artifact: file.digest }],
      artifacts: [file],
    });
    const bytes = encodeManifest(manifest);
    const { digest } = this.#put(bytes, LIMITS.targetPieceBytes);
    const path = manifestTargetPath(AGENT_MODEL, version);
    this.targets.set(path, { path, length: bytes.byteLength, digest, custom: {} });
    return { model: AGENT_MODEL, version, manifest: digest, artifacts: [file.digest] };
  }

  refresh(): Promise<{ root: number; timestamp: number; snapshot: number }> {
    this.refreshes += 1;
    if (this.refreshError !== undefined) return Promise.reject(this.refreshError);
    return Promise.resolve({ root: 1, timestamp: this.refreshes, snapshot: this.refreshes });
  }

  target(path: string): Promise<VerifiedTarget | undefined> {
    return Promise.resolve(this.targets.get(path));
  }

  minimumVersion(model: string): Promise<number> {
    return Promise.resolve(this.minimums.get(model) ?? 1);
  }

  async fetch(
    _kind: 'target' | 'artifact',
    digest: Digest,
    blob: PartialBlob,
    pieces: number,
    onProgress: (haveBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const content = this.blobs.get(digest);
    if (content === undefined) throw new Error(`the test did not publish ${digest}`);
    if (content.length !== pieces) throw new Error(`${digest} has ${content.length} pieces, ${pieces} were asked for`);
    for (const index of bitIndices(blob.missing())) {
      if (this.fetchError !== undefined) throw this.fetchError;
      if (!signal.aborted) await this.#beforePiece(digest, index, signal);
      if (signal.aborted) throw new SkerryError('ABORTED', 'the fetch was cancelled');
      this.sent.push(`${digest}/${index}`);
      await blob.write(index, this.tampered.get(`${digest}/${index}`) ?? content[index]!);
      onProgress(blob.haveBytes);
    }
  }

  async #beforePiece(digest: Digest, index: number, signal: AbortSignal): Promise<void> {
    this.hanging += 1;
    try {
      await this.beforePiece(digest, index, signal);
    } finally {
      this.hanging -= 1;
    }
  }

  #put(bytes: Uint8Array, size: number): { digest: Digest; length: number; chunks: [Digest, number][] } {
    const pieces = piecesOf(bytes, size);
    const digest = digestOfBytes(bytes);
    this.blobs.set(digest, pieces);
    return { digest, length: bytes.byteLength, chunks: pieces.map((piece) => [digestOfBytes(piece), piece.byteLength]) };
  }
}

/** Says what the hub wants; survives restarts of the manager as the stored desired state does. */
export class FakeDesired implements DesiredSource {
  #current: DesiredState | undefined;
  readonly #listeners = new Set<(desired: DesiredState) => void>();

  current(): DesiredState | undefined {
    return this.#current;
  }

  onAccepted(listener: (desired: DesiredState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  want(
    ...versions: readonly (Pick<FakeVersion, 'model' | 'version' | 'manifest'> &
      Partial<Pick<DesiredModel, 'attempt' | 'candidate' | 'requires' | 'rollout'>>)[]
  ): void {
    this.#current = desiredStateSchema.parse({
      schema: DESIRED_SCHEMA,
      fleet: 'fleet',
      device: DEVICE,
      counter: (this.#current?.counter ?? 0) + 1,
      issuedAt: '2026-01-01T00:00:00Z',
      expires: '2027-01-01T00:00:00Z',
      models: versions.map(({ model, version, manifest, attempt, candidate, requires, rollout }) => ({
        model,
        version,
        manifest,
        attempt: attempt ?? 0,
        ...(candidate && { candidate }),
        ...(requires && { requires }),
        ...(rollout && { rollout }),
      })),
    });
    for (const listener of this.#listeners) listener(this.#current);
  }
}

type Behaviour = 'good' | 'hangs' | SkerryError;

/** A runtime that keeps the contract: routes only to what is available, unloads idempotently, and crashes as told. */
export class FakeServables implements ServableControl {
  readonly #behaviours = new Map<string, Behaviour>();
  readonly #statuses = new Map<string, ServableStatus>();
  readonly #routes = new Map<ModelName, VersionNumber>();
  readonly #listeners = new Set<(status: ServableStatus) => void>();
  /** Every call, in order. */
  readonly calls: string[] = [];
  readonly policies = new Map<ModelName, TrafficPolicy>();
  /** Versions (`name@1`) whose golden samples no longer hold, and what differs. */
  readonly wrongNow = new Map<string, string>();
  /** Loads that never end by themselves. */
  hanging = 0;

  /** Says how loading a version goes; a version not set up throws. */
  behave(version: Pick<FakeVersion, 'model' | 'version'>, behaviour: Behaviour): void {
    this.#behaviours.set(keyOf(version), behaviour);
  }

  /** The version that answers requests without a version now; `undefined` when they would fail. */
  answering(model: ModelName): VersionNumber | undefined {
    const version = this.#routes.get(model);
    return version !== undefined && this.#statuses.get(keyOf({ model, version }))?.state === 'available' ? version : undefined;
  }

  loaded(): string[] {
    return [...this.#statuses.keys()].sort();
  }

  async load(spec: ServableSpec, signal?: AbortSignal): Promise<ServableStatus> {
    const key = keyOf(spec);
    const behaviour = this.#behaviours.get(key);
    this.calls.push(`load ${key}`);
    if (behaviour === undefined) throw new Error(`the test did not set up ${key}`);
    if (this.#statuses.has(key)) throw new Error(`${key} is loaded already`);
    const status = (state: ServableStatus['state']): ServableStatus => ({
      model: spec.model,
      version: spec.version,
      manifest: spec.manifest,
      state,
      variant: spec.variants[0]!.name,
      provider: 'cpu',
      inputs: spec.inputs,
      outputs: spec.outputs,
      inFlight: 0,
      // As measured while something else in the process took memory, too.
      memoryBytes: 1_000_000_000,
    });
    this.#tell(status('loading'));
    if (behaviour === 'hangs') {
      this.hanging += 1;
      await new Promise<void>((resolve) => {
        if (signal?.aborted === true) resolve();
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
      this.hanging -= 1;
      this.#tell({ ...status('unloaded') });
      throw new SkerryError('ABORTED', 'the load was cancelled');
    }
    if (behaviour instanceof SkerryError) {
      this.#tell({ ...status('failed'), error: behaviour });
      this.#statuses.delete(key);
      throw behaviour;
    }
    this.#tell(status('available'));
    return status('available');
  }

  route(model: ModelName, version: VersionNumber): void {
    this.calls.push(`route ${keyOf({ model, version })}`);
    if (this.#statuses.get(keyOf({ model, version }))?.state !== 'available') throw new Error(`${model} ${version} is not available`);
    this.#routes.set(model, version);
  }

  direct(model: ModelName, policy: TrafficPolicy | undefined): void {
    this.calls.push(policy === undefined ? `direct ${model}` : `direct ${keyOf({ model, version: policy.candidate })} ${policy.action}`);
    if (policy === undefined) this.policies.delete(model);
    else this.policies.set(model, policy);
  }

  statusOf(model: ModelName, version: VersionNumber): ServableStatus | undefined {
    return this.#statuses.get(keyOf({ model, version }));
  }

  routed(model: ModelName): VersionNumber | undefined {
    return this.#routes.get(model);
  }

  traffic(model: ModelName): TrafficPolicy | undefined {
    return this.policies.get(model);
  }

  recheck(model: ModelName, version: VersionNumber): Promise<Recheck> {
    this.calls.push(`recheck ${keyOf({ model, version })}`);
    const reason = this.wrongNow.get(keyOf({ model, version }));
    return Promise.resolve({ run: 1, wrong: reason === undefined ? 0 : 1, reason });
  }

  unload(model: ModelName, version: VersionNumber): Promise<void> {
    const key = keyOf({ model, version });
    this.calls.push(`unload ${key}`);
    const status = this.#statuses.get(key);
    if (this.#routes.get(model) === version) this.#routes.delete(model);
    if (this.policies.get(model)?.candidate === version) this.policies.delete(model);
    if (status !== undefined) {
      this.#tell({ ...status, state: 'draining' });
      this.#tell({ ...status, state: 'unloaded' });
    }
    return Promise.resolve();
  }

  onChange(listener: (status: ServableStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A loaded version stops by itself. */
  fail(version: Pick<FakeVersion, 'model' | 'version'>, error: SkerryError): void {
    const status = this.#statuses.get(keyOf(version));
    if (status === undefined) throw new Error(`${keyOf(version)} is not loaded`);
    this.#tell({ ...status, state: 'failed', error });
  }

  #tell(status: ServableStatus): void {
    if (status.state === 'unloaded') this.#statuses.delete(keyOf(status));
    else this.#statuses.set(keyOf(status), status);
    for (const listener of this.#listeners) listener(status);
  }
}

/** Keeps events. */
export class FakeEvents implements EventSink {
  readonly emitted: AgentEvent[] = [];

  emit(event: AgentEvent): void {
    this.emitted.push(event);
  }
}

function keyOf({ model, version }: Pick<FakeVersion, 'model' | 'version'>): string {
  return `${model}@${version}`;
}
