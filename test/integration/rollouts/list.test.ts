import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rolloutRoutes } from '#hub/api/routes/rollouts.js';
import { Cohorts } from '#hub/rollouts/cohorts.js';
import { SqlRolloutStore } from '#hub/rollouts/sql-store.js';
import { rolloutListSchema } from '#hub/rollouts/views.js';
import { type ApiHub, startApiHub } from '../../kit/api-hub.js';
import { Processes } from '../../kit/processes.js';
import { documentOf, OPERATOR, Rig } from '../../unit/hub/rollouts/rig.js';

const ROLLOUTS = 120;
const processes = new Processes();
let hub: ApiHub;
let newest: readonly string[];

beforeAll(async () => {
  const made: Rig[] = [];
  hub = await startApiHub('main', (db) => {
    const rig = new Rig(3, undefined, () => new SqlRolloutStore(db, () => Promise.resolve()));
    made.push(rig);
    return rolloutRoutes(rig.controller, rig.store, new Cohorts(db, rig.store, rig.clock));
  });
  const [rig] = made;
  if (rig === undefined) throw new Error('no routes were asked for');
  const first = await rig.controller.create(documentOf(), OPERATOR, { draft: true });
  for (let i = 2; i <= ROLLOUTS; i++) await rig.store.create({ ...first, id: `rollout-${i}` }, []);
  newest = Array.from({ length: ROLLOUTS }, (_, i) => `rollout-${ROLLOUTS - i}`);
});
afterAll(async () => {
  await processes.close();
  await hub.close();
});

async function listed(query = ''): Promise<string[]> {
  const answer = await hub.fetch('viewer', `/api/v1/rollouts${query}`);
  expect(answer.status).toBe(200);
  return rolloutListSchema.parse(await answer.json()).rollouts.map((rollout) => rollout.id);
}

describe('the list of the rollouts', () => {
  it('comes in pages, newest first', async () => {
    const page = await listed();
    expect(page).toEqual(newest.slice(0, 100));
    expect(await listed(`?before=${page.at(-1)}`)).toEqual(newest.slice(100));
    expect(await listed('?limit=3')).toEqual(newest.slice(0, 3));
    expect(await listed('?state=draft&limit=2&before=rollout-9')).toEqual(['rollout-8', 'rollout-7']);
    expect(await listed('?state=paused')).toEqual([]);
  });

  it('is refused beyond its limit, and from a rollout that there is not', async () => {
    expect((await hub.fetch('viewer', '/api/v1/rollouts?limit=1001')).status).toBe(400);
    const unknown = await hub.fetch('viewer', '/api/v1/rollouts?before=nothing');
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ code: 'ROLLOUT_UNKNOWN' });
  });

  it('is whole on the command line, or as long as it says', async () => {
    const env = { SKERRY_HUB: hub.url, SKERRY_TOKEN: hub.secret.viewer, HOME: hub.folder };
    const list = async (...args: readonly string[]): Promise<string[]> => {
      const { code, stdout } = await processes.run('skerry', ['rollout', 'list', '--json', ...args], { env });
      expect(code).toBe(0);
      return rolloutListSchema.parse(JSON.parse(stdout)).rollouts.map((rollout) => rollout.id);
    };
    expect(await list()).toEqual(newest);
    expect(await list('--limit', '101')).toEqual(newest.slice(0, 101));
  });
});
