import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FleetAdapter } from '#hub/rollouts/adapters/fleet-adapter.js';
import { modelNameSchema } from '#shared/bundle/names.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { FleetHub } from '../../../kit/fleet-hub.js';
import { reportedOf } from '../../../kit/messages.js';
import { versionOf } from '../../../kit/rollout-fleet.js';
import { VirtualClock } from '../../../kit/virtual-clock.js';

const ID = deviceIdSchema.parse('cam-0');
const MODEL = modelNameSchema.parse('vad');
const WISH = { device: ID, model: MODEL, target: versionOf(2), action: 'serve' as const, decidedAt: Number.MAX_SAFE_INTEGER };

let hub: FleetHub;
let fleet: FleetAdapter;
beforeEach(async () => {
  hub = await FleetHub.start({ clock: new VirtualClock() });
  await hub.device(ID);
  fleet = new FleetAdapter({ db: hub.db, issuer: hub.fleet.issuer, clock: new VirtualClock(), logger: silentLogger });
});
afterEach(() => hub.close());

async function report(version: number): Promise<void> {
  const versions = [{ ...versionOf(version), install: 'good' as const }];
  hub.fleet.states.reported(reportedOf(ID, { models: [{ model: MODEL, serving: versionOf(version).version, versions }] }), false);
  await hub.fleet.states.flush();
}

async function seen(wish = WISH): Promise<string | undefined> {
  return (await fleet.observe([wish])).get(ID)?.outcome;
}

describe('what reports say of wishes', () => {
  it('is read anew when the report or the wish is another, at the same time of the clock too', async () => {
    expect(await seen()).toBe('pending');
    await report(1);
    expect(await seen()).toBe('pending');
    await report(2);
    expect(await seen()).toBe('reached');
    expect(await seen({ ...WISH, target: versionOf(3) })).toBe('pending');
    await report(1);
    expect(await seen()).toBe('pending');
  });

  it('is not read again as long as nothing changed', async () => {
    await report(2);
    expect(await seen()).toBe('reached');
    // Not a report: it would have another revision.
    await hub.db.updateTable('device_states').set({ reported: 'not JSON' }).where('device', '=', ID).execute();
    expect(await seen()).toBe('reached');
  });

  it('decides nothing while the statement is being made', async () => {
    await report(2);
    await fleet.issue([ID]);
    expect(await seen()).toBe('pending');
    await hub.fleet.issuer.issue([]);
    await expect.poll(() => seen(), { timeout: 30_000 }).toBe('reached');
  });

  it.each([
    ['TRUST_SIGNED_IN_FUTURE', 'pending'],
    ['TRUST_DESIRED_EXPIRED', 'pending'],
    ['TRUST_DIRECTOR_MISSING', 'pending'],
    ['TRUST_DESIRED_FORMAT', 'failed'],
  ])('a statement refused with %s makes the version %s', async (code, outcome) => {
    await hub.db
      .insertInto('desired_states')
      .values({ device: ID, counter: 2, envelope: new Uint8Array(), content_sha256: '', key_id: '', issued_at: 0, expires_at: 1 })
      .execute();
    hub.fleet.states.reported(reportedOf(ID, { desired: { counter: 1, refused: { code, message: 'no' } } }), false);
    await hub.fleet.states.flush();
    expect(await seen()).toBe(outcome);
  });

  it.each([
    ['FEATURE_MISSING', 'wanted', 'unsupported'],
    ['FEATURE_MISSING', 'fetching', 'unsupported'],
    ['FORMAT_NEWER', 'fetching', 'unsupported'],
    ['TRUST_MIRROR_INCOMPLETE', 'wanted', 'pending'],
    ['MODELS_NOT_TRUSTED', 'wanted', 'failed'],
    ['FEATURE_MISSING', 'bad', 'failed'],
  ] as const)('%s of a version that is %s makes it %s', async (code, install, outcome) => {
    const versions = [{ ...versionOf(2), install, error: { code, message: 'no' } }];
    hub.fleet.states.reported(reportedOf(ID, { models: [{ model: MODEL, serving: null, versions }] }), false);
    await hub.fleet.states.flush();
    expect(await seen()).toBe(outcome);
  });
});
