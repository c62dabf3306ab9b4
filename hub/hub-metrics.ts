import type { Clock } from '#shared/kernel/clock.js';
import type { MetricFamily } from '#shared/kernel/exposition.js';
import type { LiveFeed } from './api/live-feed.js';
import type { TufRepository } from './registry/tuf/repository.js';
import type { ArtifactStorage } from './store/artifacts.js';
import type { HubClock } from './clock/hub-clock.js';
import { DEVICE_MARKS } from './fleet/device-marks.js';
import type { Db } from './store/database.js';

interface HubMetricsDeps {
  readonly db: Db;
  readonly storage: ArtifactStorage;
  readonly tuf: TufRepository;
  readonly hubClock: HubClock;
  readonly feed: LiveFeed;
  readonly clock: Clock;
  readonly version: string;
}

/** Figures of the hub's core: what it holds, and how it is itself. */
export async function hubMetrics({ db, storage, tuf, hubClock, feed, clock, version }: HubMetricsDeps): Promise<readonly MetricFamily[]> {
  const { artifacts, bytes } = await storage.usage();
  const versions = await db
    .selectFrom('versions')
    .select((eb) => eb.fn.countAll().as('count'))
    .executeTakeFirst();
  const trust = tuf.publication()?.versions;
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  const gauge = (name: string, help: string, value: number): MetricFamily => ({ name, help, type: 'gauge', samples: [{ value }] });
  return [
    { name: 'skerry_hub_info', help: 'Version of the hub.', type: 'gauge', samples: [{ labels: { version }, value: 1 }] },
    gauge('skerry_hub_versions', 'Published model versions.', Number(versions?.count ?? 0)),
    gauge('skerry_hub_artifacts', 'Stored artifacts.', artifacts),
    gauge('skerry_hub_artifact_bytes', 'Bytes of all stored artifacts.', bytes),
    gauge('skerry_hub_live_listeners', 'Listeners of the live feed.', feed.clients),
    {
      name: 'skerry_hub_trust_version',
      help: 'Version of each kind of published trust metadata.',
      type: 'gauge',
      samples: Object.entries(trust ?? {}).map(([file, value]) => ({ labels: { file }, value })),
    },
    {
      name: 'skerry_hub_trust_expires_seconds',
      help: 'Time until the signatures of a trust role expire. Expired ones stop updates: those of the publisher, or all for root, targets, snapshot and timestamp.',
      type: 'gauge',
      samples: tuf.expiries().map(({ role, expires }) => ({ labels: { role }, value: (expires - clock.now()) / 1_000 })),
    },
    gauge(
      'skerry_hub_clock_credible',
      '1 while the clock of the hub is credible. At 0 the hub signs nothing.',
      hubClock.isCredible ? 1 : 0,
    ),
    ...(await markedDevices(db)),
    gauge('skerry_hub_resident_bytes', 'Resident memory of the process.', memory.rss),
    {
      name: 'skerry_hub_cpu_seconds_total',
      help: 'Processor time of the process.',
      type: 'counter',
      samples: [{ value: (cpu.user + cpu.system) / 1_000_000 }],
    },
  ];
}

async function markedDevices(db: Db): Promise<readonly MetricFamily[]> {
  const rows = await db
    .selectFrom('device_marks')
    .select(['mark', (eb) => eb.fn.countAll().as('count')])
    .groupBy('mark')
    .execute();
  const counts = new Map(rows.map(({ mark, count }) => [mark, Number(count)]));
  return [
    {
      name: 'skerry_hub_devices_marked',
      help: 'Marked devices by mark, as in "skerry device list".',
      type: 'gauge',
      samples: DEVICE_MARKS.map((mark) => ({ labels: { mark }, value: counts.get(mark) ?? 0 })),
    },
  ];
}
