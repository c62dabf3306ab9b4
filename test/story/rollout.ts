import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Scene } from './scene.js';

export interface RolloutDecision {
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/**
 * Waves of one device, half, all; short, because a story is: a real rollout bakes for hours and compares with devices on the old
 * version. One device of the first wave that takes the version back by itself is enough; besides, a fixed limit on failed predictions.
 */
function rolloutDocument(model: string, version: number): object {
  return {
    model,
    version,
    cohort: '',
    waves: [{ count: 1 }, '60%', '100%'],
    reserve: 0,
    bake: '4s',
    deadline: '2m',
    evidence: { predictions: 100, devices: 1 },
    gates: [{ gate: 'install' }, { gate: 'limit', of: 'errors', atMost: 0.05, ruleOut: 0.2 }],
    silent: { after: '30s' },
    onFailure: 'rollback-all',
  };
}

/** Runs `skerry rollout create --wait` and shows its decisions as they fall. Resolves with its exit code and the recorded decisions. */
export async function rollOut(
  scene: Scene,
  model: string,
  version: number,
): Promise<{ code: number; id: string; decisions: readonly RolloutDecision[] }> {
  const file = path.join(scene.fleet.folder, `rollout-${version}.json`);
  await writeFile(file, JSON.stringify(rolloutDocument(model, version), null, 2));
  const result = await scene.fleet.watch(['rollout', 'create', '-f', file, '--wait', '--timeout', '3m'], (line) =>
    tellDecision(scene, line),
  );
  const { rollouts } = (await scene.fleet.api('/rollouts')) as { rollouts: { id: string; version: number }[] };
  const id = rollouts.find((rollout) => rollout.version === version)?.id;
  if (id === undefined) throw new Error(`no rollout of ${model}@${version}: ${result.stderr}`);
  const { decisions } = (await scene.fleet.api(`/rollouts/${id}/decisions`)) as { decisions: RolloutDecision[] };
  return { code: result.code, id, decisions };
}

/** Of what the command shows at every change, the decision and its reason; the rest is for a screen that is watched. */
function tellDecision({ tell }: Scene, line: string): void {
  const decision = /^\s*(?:last: )(.*)$/.exec(line)?.[1];
  if (decision !== undefined) tell.detail(decision);
  else if (/^\s*(error|what to do):/.test(line)) tell.failure(line.trim());
}
