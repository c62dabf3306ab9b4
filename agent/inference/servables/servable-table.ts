import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { InferRequest, PredictionTarget, TrafficPolicy } from '../contract.js';
import type { WindowRole } from '#shared/protocol/messages.js';
import { unknownModel } from './refusals.js';
import type { ServableHost } from './servable-host.js';
import { direct } from './traffic.js';

interface ServableTableOptions {
  /** Uniform in [0, 1): which version answers a request without a key. */
  readonly random: () => number;
  /** Id of this device: what a split by device goes by. */
  readonly device: string;
}

/** A servable, and as what a prediction of it is counted. */
export interface Served {
  readonly host: ServableHost;
  readonly target: PredictionTarget;
}

/** Which version answers a request, and which one runs on a copy. */
interface Directed {
  readonly answers: Served;
  readonly shadow: Served | undefined;
}

/**
 * Servables by model and version, and which of them requests go to.
 * INVARIANT: a route leads to a version that was available when it was laid, and ends with it.
 */
export class ServableTable {
  readonly #options: ServableTableOptions;
  readonly #servables = new Map<ModelName, Map<VersionNumber, ServableHost>>();
  readonly #routes = new Map<ModelName, VersionNumber>();
  readonly #policies = new Map<ModelName, TrafficPolicy>();

  constructor(options: ServableTableOptions) {
    this.#options = options;
  }

  all(): readonly ServableHost[] {
    return [...this.#servables.values()].flatMap((versions) => [...versions.values()]);
  }

  get(model: ModelName, version: VersionNumber): ServableHost | undefined {
    return this.#servables.get(model)?.get(version);
  }

  /** The servable; throws `INFERENCE_MODEL_UNKNOWN` or `INFERENCE_VERSION_UNKNOWN`. */
  find(model: ModelName, version: VersionNumber): ServableHost {
    const versions = this.#servables.get(model);
    if (versions === undefined) throw unknownModel(model);
    const host = versions.get(version);
    if (host !== undefined) return host;
    const loaded = [...versions.keys()].join(', ');
    throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} is not loaded in version ${version}, but in ${loaded}`);
  }

  /** Every servable, those of one model, or one; throws what `find` does. */
  named(model: ModelName | undefined, version: VersionNumber | undefined): readonly ServableHost[] {
    if (model === undefined) return this.all();
    if (version !== undefined) return [this.find(model, version)];
    const versions = this.#servables.get(model);
    if (versions === undefined) throw unknownModel(model);
    return [...versions.values()];
  }

  add(host: ServableHost): void {
    const { model, version } = host.spec;
    const versions = this.#servables.get(model) ?? new Map<VersionNumber, ServableHost>();
    this.#servables.set(model, versions.set(version, host));
  }

  /** Takes a servable off, unless another has taken its place. */
  remove(host: ServableHost): void {
    const { model, version } = host.spec;
    const versions = this.#servables.get(model);
    if (versions?.get(version) !== host) return;
    versions.delete(version);
    if (versions.size === 0) this.#servables.delete(model);
  }

  /** Version requests without one go to. */
  routed(model: ModelName): VersionNumber | undefined {
    return this.#routes.get(model);
  }

  /** From now on requests without a version go to this one; throws what `find` does, and why it takes none. */
  route(model: ModelName, version: VersionNumber): void {
    const host = this.find(model, version);
    if (host.state !== 'available') throw host.refusal();
    this.#routes.set(model, version);
  }

  /** Shares requests between the routed version and another; `undefined`: the routed one answers alone. */
  share(model: ModelName, policy: TrafficPolicy | undefined): void {
    if (policy === undefined) this.#policies.delete(model);
    else this.#policies.set(model, policy);
  }

  traffic(model: ModelName): TrafficPolicy | undefined {
    return this.#policies.get(model);
  }

  /** No request without a version goes to this one any more. */
  withdraw(model: ModelName, version: VersionNumber): void {
    if (this.#policies.get(model)?.candidate === version) this.#policies.delete(model);
    if (this.#routes.get(model) === version) this.#routes.delete(model);
  }

  /** Where a request goes; throws what `resolve` does, and why that one serves nothing yet. */
  direct({ model, version, key }: Pick<InferRequest, 'model' | 'version' | 'key'>): Directed {
    const routed = version ?? this.#routes.get(model);
    const policy = version === undefined ? this.#policies.get(model) : undefined;
    const candidate = policy === undefined ? undefined : this.get(model, policy.candidate);
    if (routed === undefined || candidate?.state !== 'available') {
      return { answers: this.#served(this.resolve(model, version)), shadow: undefined };
    }
    const { random, device } = this.#options;
    const { answers, shadow } = direct(routed, policy, { key, random: random() }, device);
    return {
      answers: this.#served(this.find(model, answers)),
      shadow: shadow === undefined ? undefined : this.#served(candidate, 'shadow'),
    };
  }

  /** As what predictions of a servable are counted; `undefined` while it can serve none. Nothing else says so. */
  targetOf({ spec: { model, version }, placed }: ServableHost, role?: WindowRole): PredictionTarget | undefined {
    if (placed === undefined) return undefined;
    return { model, version, ...placed, role: role ?? (this.#routes.get(model) === version ? 'serving' : 'candidate') };
  }

  /** The servable for a version, or the one in service; throws what `find` does, and `INFERENCE_NOT_READY` where none is. */
  resolve(model: ModelName, version: VersionNumber | undefined): ServableHost {
    if (version !== undefined) return this.find(model, version);
    const routed = this.#routes.get(model);
    if (routed !== undefined) return this.find(model, routed);
    const loaded = this.#servables.get(model);
    if (loaded === undefined) throw unknownModel(model);
    const hosts = [...loaded.values()];
    const [first] = hosts;
    // Waiting helps only while something is still coming up.
    if (first !== undefined && hosts.every((host) => host.state === 'failed')) throw first.refusal();
    throw new SkerryError('INFERENCE_NOT_READY', `model ${model} has no version in service yet`, {
      details: { versions: hosts.map((host) => ({ version: host.spec.version, state: host.state })) },
    });
  }

  #served(host: ServableHost, role?: WindowRole): Served {
    const target = this.targetOf(host, role);
    if (target === undefined) throw host.refusal();
    return { host, target };
  }
}
