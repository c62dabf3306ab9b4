import type { EpochMillis } from '#shared/kernel/time.js';
import { isBeside } from '../document.js';
import { guardOf } from './guard.js';
import type { Wish } from '../ports.js';
import type { RolloutDevice, RolloutRecord } from '../record.js';

/** What the rollout wishes of a device, from where that stands in it. Pure. */
export function wishOf(record: RolloutRecord, row: RolloutDevice, now: EpochMillis): Wish {
  const { document, manifest, plan, id, attempt } = record;
  const back = row.status === 'reverting' || row.status === 'reverted' || row.status === 'unproven';
  const { strategy } = document;
  const wave = plan.waves[row.wave ?? 0];
  return {
    device: row.device,
    model: document.model,
    target: back ? row.previous : { version: document.version, manifest },
    action: !back ? (wave?.action ?? 'serve') : isBeside(document) ? 'alone' : 'serve',
    wave: row.wave ?? 0,
    guard: back || wave === undefined ? {} : guardOf(wave),
    share: 'share' in strategy ? strategy.share : 1,
    sticky: 'sticky' in strategy ? strategy.sticky : 'key',
    attempt,
    source: `rollout:${id}`,
    decidedAt: row.toldAt ?? now,
  };
}
