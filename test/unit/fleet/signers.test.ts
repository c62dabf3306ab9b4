import { afterEach, describe, expect, it } from 'vitest';
import { Signers } from '#hub/fleet/signers.js';
import { days, systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { deviceIdSchema, fleetIdSchema } from '#shared/protocol/device.js';
import { DESIRED_SCHEMA, type DesiredState } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/desired-verify.js';
import { generateSigningKey } from '#shared/trust/keys.js';

const key = generateSigningKey();
const fleet = fleetIdSchema.parse('harbour');
const now = Date.now();
const statements = Array.from(
  { length: 11 },
  (_, i): DesiredState => ({
    schema: DESIRED_SCHEMA,
    fleet,
    device: deviceIdSchema.parse(`cam-${i}`),
    counter: i + 1,
    issuedAt: new Date(now).toISOString(),
    expires: new Date(now + days(1)).toISOString(),
    models: [],
  }),
);

const open: Signers[] = [];
function signers(threads: number): Signers {
  const made = new Signers({ key, clock: systemClock, logger: silentLogger, threads });
  open.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

/** Every envelope is the statement of its device, signed. */
function verified(envelopes: readonly Uint8Array[]): number[] {
  return envelopes.map((envelope, i) => {
    const context = { fleet, device: `cam-${i}`, directorKeys: [key.publicKey], last: undefined, now };
    return verifyDesired(envelope, context).desired.counter;
  });
}

const COUNTERS = statements.map((statement) => statement.counter);

describe('Signers', () => {
  it.each([0, 1, 2])('sign each statement with %i threads, in order', async (threads) => {
    expect(verified(await signers(threads).sign(statements))).toEqual(COUNTERS);
  });

  it('sign again after their threads ended', async () => {
    const made = signers(2);
    await made.sign(statements);
    await made.close();
    expect(verified(await made.sign(statements))).toEqual(COUNTERS);
  });

  it('leave the event loop free between signatures they make themselves', async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    await signers(0).sign(statements);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });
});
