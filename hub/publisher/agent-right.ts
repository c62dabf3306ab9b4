import { SkerryError } from '#shared/kernel/errors.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import type { PublisherHub } from './hub-port.js';
import { delegationsOf } from './trust-current.js';

/**
 * Asks the hub's metadata whether a publisher may sign releases of the agent, so that one that may not learns it before its files
 * are uploaded. Only a courtesy: hub and devices check the signatures. Throws `TRUST_TARGET_FORBIDDEN`.
 */
export async function checkMaySignAgents(hub: PublisherHub, role: string): Promise<void> {
  const targets = await hub.metadata('targets.json');
  if (targets === undefined) return;
  const delegation = delegationsOf(parseMetadata('targets', targets)).find((known) => known.role === role);
  if (delegation === undefined || delegation.agent === true) return;
  throw new SkerryError(
    'TRUST_TARGET_FORBIDDEN',
    `publisher ${role} may sign models and not the agent; the root keeper lets a publisher do so with "skerry trust add-publisher --agent"`,
    { details: { role } },
  );
}
