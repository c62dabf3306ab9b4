import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeviceStarts, hearBirth, noteRefused } from '#hub/fleet/decide/device-starts.js';

type Name = 'kept' | 'clone';

/** A machine with a data folder: each start has a name of its own, and knows the one before it from the disk. */
class Machine {
  readonly #name: Name;
  #number = 0;
  #connection = 0;
  #onDisk: string;
  bootId: string;
  #afterBootId: string;

  constructor(name: Name, image: string) {
    this.#name = name;
    this.#onDisk = image;
    this.#afterBootId = image;
    this.bootId = image;
    this.powerCut(true);
  }

  powerCut(isWritten: boolean): void {
    this.#number += 1;
    this.#connection = 0;
    this.#afterBootId = this.#onDisk;
    this.bootId = `${this.#name}-${this.#number}`;
    if (isWritten) this.#onDisk = this.bootId;
  }

  birth() {
    this.#connection += 1;
    const { bootId } = this;
    return { bootId, afterBootId: this.#afterBootId, boot: this.#number, connection: this.#connection, host: this.#name };
  }

  /** What the clone of a running machine finds on its disk. */
  image(): string {
    return this.#onDisk;
  }
}

/** The hub with its own broker, which turns away at the gate, or one that hears of every birth. */
class Hub {
  starts: DeviceStarts | undefined;
  readonly #hasGate: boolean;

  constructor(hasGate: boolean) {
    this.#hasGate = hasGate;
  }

  /** True when it may stay. */
  connect(machine: Machine): boolean {
    const birth = machine.birth();
    const noted = this.starts !== undefined && this.#hasGate ? noteRefused(this.starts, birth, 0) : undefined;
    if (noted !== undefined) {
      this.starts = noted;
      return false;
    }
    const { starts, verdict } = hearBirth(this.starts, birth, 0);
    this.starts = starts;
    return verdict !== 'refused' && verdict !== 'late';
  }
}

/** A device that is kept, and a clone of its card that is refused. */
function world(hasGate: boolean, isImagedWhileRunning: boolean) {
  const hub = new Hub(hasGate);
  const kept = new Machine('kept', 'card');
  const clone = new Machine('clone', isImagedWhileRunning ? kept.image() : 'card');
  hub.connect(kept);
  hub.connect(clone);
  hub.connect(kept);
  expect(hub.starts?.copies).toMatchObject({ kept: { bootId: kept.bootId }, refused: [{ bootId: clone.bootId }] });
  return { hub, kept, clone };
}

const acts = (of: readonly Name[]) =>
  fc.array(
    fc.record({
      cut: fc.subarray<Name>(['kept', 'clone']),
      unheard: fc.subarray<Name>([...of]),
      isWritten: fc.boolean(),
      order: fc.array(fc.constantFrom<Name>('kept', 'clone'), { maxLength: 4 }),
      last: fc.constantFrom<Name>('kept', 'clone'),
    }),
    { maxLength: 40 },
  );

describe('a device and the clone of it that is refused, over power cuts and connections in any order', () => {
  it('the device is never locked out, and the clone never let in', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), acts(['kept']), (hasGate, isImagedWhileRunning, rounds) => {
        const { hub, ...machines } = world(hasGate, isImagedWhileRunning);
        for (const { cut, unheard, isWritten, order, last } of rounds) {
          // The device may start without a network, and the disk of the clone may take no writes.
          if (cut.includes('kept') && unheard.includes('kept')) machines.kept.powerCut(true);
          for (const name of cut) machines[name].powerCut(name === 'kept' || isWritten);
          const other: Name = last === 'kept' ? 'clone' : 'kept';
          for (const name of [...order, other, last]) expect([name, hub.connect(machines[name])]).toEqual([name, name === 'kept']);
        }
      }),
    );
  });

  it('the device is never locked out, also where starts of the clone were never heard', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), acts(['clone']), (hasGate, isImagedWhileRunning, rounds) => {
        const { hub, ...machines } = world(hasGate, isImagedWhileRunning);
        for (const { cut, unheard, order, last } of rounds) {
          if (cut.includes('clone') && unheard.includes('clone')) machines.clone.powerCut(true);
          for (const name of cut) machines[name].powerCut(true);
          const other: Name = last === 'kept' ? 'clone' : 'kept';
          for (const name of [...order, other, last]) {
            expect(hub.connect(machines[name]) || name === 'clone').toBe(true);
          }
          // Whatever came between: once the device has been heard again, the start of the clone that lives is refused.
          expect(hub.connect(machines.kept)).toBe(true);
          expect(hub.connect(machines.clone)).toBe(false);
        }
      }),
    );
  });
});
