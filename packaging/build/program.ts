import path from 'node:path';
import type { Program, Target } from '../targets.js';
import { TARGETS, TARGET_NAMES } from '../targets.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type Bundle, bundleProgram } from './bundle.js';
import { makeExecutable } from './executable.js';
import { gatherNatives, runtimesInstalled } from './natives.js';
import { fetchNode, type NodeRuntime } from './node-runtime.js';
import { type GivenParts, requireParts } from './requirements.js';
import { processorsEmulated } from './toolchain.js';

export interface BuiltProgram {
  readonly executable: string;
  readonly bundle: Bundle;
  readonly node: NodeRuntime;
}

interface BuildOptions {
  /** Folder for everything on the way. */
  readonly work: string;
  readonly given: GivenParts;
  readonly say: (text: string) => void;
}

/** Builds the executable of one program for one target. `PACKAGE_PART_MISSING` before anything is done. */
export async function buildProgram(program: Program, target: Target, { work, given, say }: BuildOptions): Promise<BuiltProgram> {
  const host = { platform: process.platform, arch: process.arch };
  requireParts(target, { host, given, runtimes: await runtimesInstalled(), emulated: processorsEmulated() });
  const hostTarget = TARGET_NAMES.map((name) => TARGETS[name]).find(
    ({ platform, arch }) => platform === process.platform && arch === process.arch,
  );
  if (hostTarget === undefined) {
    throw new SkerryError(
      'PACKAGE_USAGE',
      `packages are built on ${TARGET_NAMES.join(' or ')}, not on ${process.platform}-${process.arch}`,
    );
  }
  say(`${program.executable} for ${target.name}: runtime`);
  const node = await fetchNode(target, given.node);
  const hostNode = hostTarget.name === target.name ? node : await fetchNode(hostTarget);
  say(`${program.executable} for ${target.name}: native libraries (compiled the first time, some minutes)`);
  const natives = await gatherNatives(target, node, path.join(work, 'native'), given.sqlite);
  say(`${program.executable} for ${target.name}: program`);
  const bundle = await bundleProgram(program, natives.manifest);
  return { executable: await makeExecutable({ program, target, node, bundle, natives, hostNode, work, say }), bundle, node };
}
