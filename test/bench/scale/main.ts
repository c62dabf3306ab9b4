import { writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Command } from 'commander';
import { VersionStore } from '#hub/registry/version-store.js';
import { Cohorts } from '#hub/rollouts/cohorts.js';
import { RolloutController } from '#hub/rollouts/controller.js';
import { readRollout } from '#hub/rollouts/document.js';
import type { EvidenceSource } from '#hub/rollouts/evidence-source.js';
import { TelemetryEvidence } from '#hub/rollouts/adapters/telemetry-evidence.js';
import { FleetAdapter } from '#hub/rollouts/adapters/fleet-adapter.js';
import { TelemetryTrialOutcome } from '#hub/rollouts/adapters/telemetry-trial-outcome.js';
import { RegistryAdapter } from '#hub/rollouts/adapters/registry-adapter.js';
import { SqlRolloutStore } from '#hub/rollouts/sql-store.js';
import { type ModelName, modelNameSchema } from '#shared/bundle/names.js';
import { seconds } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { FleetHub } from '../../kit/fleet-hub.js';
import { until } from '../../kit/until.js';
import { atMost, type Figure, machine, plain, printFigures } from '../figure.js';
import { writeFigures } from '../figure-tables.js';
import { HybridClock } from './hybrid-clock.js';
import { BUCKET, ScaleFleet } from './scale-fleet.js';

const options = new Command('npm run bench:scale --')
  .description('Rollouts over ten thousand devices: a real hub database, controller and broker, with reports coming in.')
  .option('--devices <n>', 'how many devices', '10000')
  .option('--minutes <n>', "how long the rollout is watched, in the fleet's time", '4')
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--docs', 'write the table into docs/ROLLOUTS.md')
  .parse(process.argv)
  .opts<{ devices: string; minutes: string; json?: string; docs?: boolean }>();
const DEVICES = Number(options.devices);
const MINUTES = Number(options.minutes);
/** How often a controller looks. */
const EVERY = seconds(5);
const PARTS = 12;
const ACTOR = { name: 'bench', role: 'operator', source: '' } as const;

/** Evidence that can be exchanged for one that knows nothing, as after a restart. */
class Exchangeable implements EvidenceSource {
  inner: EvidenceSource;

  constructor(inner: EvidenceSource) {
    this.inner = inner;
  }

  figures(query: Parameters<EvidenceSource['figures']>[0]): ReturnType<EvidenceSource['figures']> {
    return this.inner.figures(query);
  }
}

interface Cost {
  /** Milliseconds. */
  readonly wall: number;
  readonly cpu: number;
}

async function costOf(task: () => Promise<unknown>): Promise<Cost> {
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  await task();
  const used = process.cpuUsage(cpu);
  return { wall: performance.now() - wall, cpu: (used.user + used.system) / 1000 };
}

/** What is in use once what is not is gone; buffers outside the heap go a turn later. */
async function heap(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await pause(20);
  }
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

function mean(costs: readonly Cost[], of: keyof Cost): number {
  return costs.reduce((sum, cost) => sum + cost[of], 0) / Math.max(1, costs.length);
}

const clock = new HybridClock();
const hub = await FleetHub.start({ clock });
try {
  const figures = await bench(hub);
  printFigures(`${DEVICES} devices; ${machine()}`, figures);
  if (options.docs === true) {
    const intro = `Measured by \`npm run bench:scale -- --docs\` on ${machine()}: ${DEVICES} devices, each with a report a minute.`;
    await writeFigures({ file: 'docs/ROLLOUTS.md', marker: 'scale', intro, figures });
  }
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
} finally {
  await hub.close();
}

async function bench({ db, fleet }: FleetHub): Promise<readonly Figure[]> {
  const hubFleet = new FleetAdapter({ db, issuer: fleet.issuer, clock, logger: silentLogger });
  const store = new SqlRolloutStore(db, (trx, wishes) => hubFleet.write(trx, wishes));
  const evidence = new Exchangeable(new TelemetryEvidence({ db, clock, bucket: BUCKET }));
  const controller = new RolloutController({
    store,
    fleet: hubFleet,
    evidence,
    outcomes: new TelemetryTrialOutcome(db, BUCKET),
    registry: new RegistryAdapter(new VersionStore(db)),
    cohorts: new Cohorts(db, store, clock),
    alerts: { notify: () => undefined },
    clock,
    logger: silentLogger,
  });
  const model = modelNameSchema.parse('vad');
  const devices = new ScaleFleet(hub, clock, model, await versionsOf(model), DEVICES);
  await devices.enrol();
  const history = await devices.remember(12);

  // A canary wave: the history is read, then every look takes what arrived.
  const { id } = await controller.create(documentOf(model, ['10%', '50%', '100%']), ACTOR);
  await said(model, Math.floor(DEVICES / 10));
  await devices.react();
  let reading: Cost = { wall: 0, cpu: 0 };
  for (let waiting = true; waiting; ) {
    const cost = await costOf(() => controller.tick());
    reading = { wall: reading.wall + cost.wall, cpu: reading.cpu + cost.cpu };
    clock.skip(EVERY);
    waiting = JSON.stringify(controller.outlook(id)?.results ?? []).includes('have still to be read');
  }
  const [ticks, reports]: [Cost[], Cost[]] = [[], []];
  let records = 0;
  for (let i = 0; i < MINUTES * PARTS; i++) {
    clock.skip(EVERY);
    reports.push(await costOf(async () => (records += await devices.report(i % PARTS, PARTS))));
    ticks.push(await costOf(() => controller.tick()));
  }
  const { predictions = 0 } = controller.outlook(id)?.figures?.evidence ?? {};
  if (predictions === 0) throw new Error('no evidence came in');

  // After a restart, or for whoever looks first.
  const full = await heap();
  evidence.inner = new TelemetryEvidence({ db, clock, bucket: BUCKET });
  const memory = full - (await heap());
  clock.skip(EVERY * 4);
  const again = await costOf(() => controller.tick());

  const issue = await wholeWave(controller);
  const cpu = mean(ticks, 'cpu');
  const ingest = reports.reduce((sum, cost) => sum + cost.cpu, 0) / records;
  return [
    plain('a look at a rollout (mean)', mean(ticks, 'wall'), 'ms'),
    plain('a look at a rollout (longest)', Math.max(...ticks.map((cost) => cost.wall)), 'ms'),
    atMost('CPU for looking every 5 s', (100 * cpu) / EVERY, '% of a core', 20),
    plain('memory of the evidence', memory / 2 ** 20, 'MiB'),
    plain('history before the rollout read, once', history / (reading.cpu / 1000), 'rows/s of CPU'),
    plain('the evidence read again after a restart', again.wall / 1000, 's'),
    plain('CPU to store a report', ingest, 'ms'),
    plain('CPU of a rollout per device and second', (cpu / EVERY / DEVICES) * 1e6, 'us'),
    ...issue,
  ];
}

/** One wave of all devices at once, on another model. */
async function wholeWave(controller: RolloutController): Promise<Figure[]> {
  const model = modelNameSchema.parse('kws');
  await versionsOf(model);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const begun = performance.now();
  await controller.create(documentOf(model, ['100%']), ACTOR);
  // A look tells so many at once and comes every five seconds; here the next one comes at once.
  for (let told = 0; told < DEVICES; told = await wished(model)) await controller.tick();
  const stored = performance.now() - begun;
  await said(model, DEVICES);
  const issued = performance.now() - begun;
  delay.disable();
  return [
    plain(`rollout of one wave planned and its ${DEVICES} wishes stored`, stored / 1000, 's'),
    plain(`the same signed, stored and published`, issued / 1000, 's'),
    plain('longest the event loop was held up meanwhile', delay.max / 1e6, 'ms'),
    plain('event loop held up meanwhile (median)', delay.percentile(50) / 1e6, 'ms'),
  ];
}

async function wished(model: ModelName): Promise<number> {
  const row = await hub.db
    .selectFrom('desired_models')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('model', '=', model)
    .executeTakeFirst();
  return Number(row?.count ?? 0);
}

/** Waits until so many devices were told of the model by a signed statement. */
async function said(model: ModelName, count: number): Promise<void> {
  await until(
    `${count} statements`,
    async () => {
      const row = await hub.db
        .selectFrom('desired_models')
        .innerJoin('desired_states', 'desired_states.device', 'desired_models.device')
        .select((eb) => eb.fn.countAll().as('count'))
        .where('model', '=', model)
        .whereRef('issued_at', '>=', 'decided_at')
        .executeTakeFirst();
      return Number(row?.count ?? 0) >= count;
    },
    { deadlineMs: 600_000, everyMs: 200 },
  );
}

async function versionsOf(model: ModelName) {
  const manifests = new Map<number, Awaited<ReturnType<FleetHub['addVersion']>>>();
  for (const version of [1, 2]) {
    manifests.set(version, await hub.addVersion(model, version, { bytes: new Uint8Array(1_000).fill(version), chunk: 400 }));
  }
  return manifests;
}

function documentOf(model: ModelName, waves: readonly string[]) {
  return readRollout({ model, version: 2, cohort: '', waves, reserve: 0, bake: '1h', maxInFlight: DEVICES });
}
