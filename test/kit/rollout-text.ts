import { readRollout, type RolloutDocument } from '#hub/rollouts/document.js';
import { parseYaml } from '#hub/rollouts/document-text.js';

/** Reads a rollout written as YAML (or JSON, which is YAML), as the command line and the hub do together. */
export function parseRollout(text: string): RolloutDocument {
  return readRollout(parseYaml(text));
}
