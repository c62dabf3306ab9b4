import type { Clock } from '#shared/kernel/clock.js';
import type { Outbox, Position } from '#agent/store/contract.js';
import type { AgentEvent } from '#agent/store/events.js';
import type { OutboxPump } from './outbox-pump.js';

interface HubReceiptDeps {
  readonly device: string;
  readonly outbox: Pick<Outbox, 'append'>;
  readonly pump: Pick<OutboxPump, 'onStored'>;
  readonly clock: Clock;
}

/**
 * Says something to the hub and resolves once the hub, not the broker, says that it has stored it (R3): the way there and
 * the way back both work. Stays open while there is no hub; rejects when it cannot be put into the outbox.
 */
export async function tellAndWait(event: AgentEvent, { device, outbox, pump, clock }: HubReceiptDeps): Promise<void> {
  const stored = new Set<string>();
  let check = (): void => undefined;
  const stop = pump.onStored((records) => {
    for (const record of records) stored.add(keyOf(record));
    check();
  });
  try {
    const mine = keyOf(await outbox.append('event', { device, at: new Date(clock.now()).toISOString(), ...event }));
    await new Promise<void>((resolve) => {
      check = () => {
        if (stored.has(mine)) resolve();
        else stored.clear();
      };
      check();
    });
  } finally {
    stop();
  }
}

function keyOf({ boot, bootId, seq }: Position): string {
  return `${boot}/${bootId ?? ''}/${seq}`;
}
