import type { Command } from 'commander';
import { formatDuration } from '#shared/terminal/format.js';
import { paint, printJson, printLine, printTable } from '#shared/terminal/output.js';
import { kindRow } from '#shared/bundle/kinds.js';
import { parseModelVersion, parseSpan } from './arguments.js';
import type { HubClient } from './client.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

interface MetricsFlags extends CommonFlags {
  readonly since: string;
  readonly device?: string;
}

/** Signals with columns of their own. */
const IN_COLUMNS: ReadonlySet<string> = new Set(['latency', 'compute', 'queue']);

/** Adds `skerry metrics MODEL`. */
export function registerMetricsCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'metrics', 'Show predictions, failures, latencies and other signals of the versions of a model on all devices.', [
    'skerry metrics vad',
    'skerry metrics vad --since 1d --device cam-7 --json',
  ])
    .argument('<model>', 'Name of the model.')
    .option('--since <duration>', 'Period to show, up to now.', '1h')
    .option('--device <id>', 'Show only this device.')
    .action(async (name: string, flags: MetricsFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const [{ modelMetricsSchema }, { signalRows }, { SIGNALS }] = await Promise.all([
        import('../telemetry/views.js'),
        import('./signal-rows.js'),
        import('#shared/signals/table.js'),
      ]);
      const since = new Date(deps.clock.now() - parseSpan(flags.since, '--since')).toISOString();
      const { model } = parseModelVersion(name);
      const answer = await hub.get(modelMetricsSchema, `/api/v1/metrics/models/${model}`, { since, device: flags.device });
      if (answer.versions.length === 0) await checkNames(hub, model, flags.device);
      if (out.json) return printJson(out, answer);
      const millis = (value: number | null | undefined): string | undefined =>
        typeof value === 'number' ? formatDuration(value) : undefined;
      printTable(
        out,
        [
          { title: 'version', align: 'right', value: (row) => row.version },
          { title: 'predictions', align: 'right', value: (row) => row.predictions },
          { title: 'failed', align: 'right', value: (row) => `${(row.errorRate * 100).toFixed(2)} %` },
          { title: 'refused', align: 'right', value: (row) => row.refused?.count },
          { title: 'p50', align: 'right', value: (row) => millis(row.signals.latency?.p50) },
          { title: 'p95', align: 'right', value: (row) => millis(row.signals.latency?.p95) },
          { title: 'p99', align: 'right', value: (row) => millis(row.signals.latency?.p99) },
          { title: 'compute p50', align: 'right', value: (row) => millis(row.signals.compute?.p50) },
          { title: 'queue p99', align: 'right', value: (row) => millis(row.signals.queue?.p99) },
        ],
        answer.versions,
        `No device reported on "${model}" since ${since.slice(0, 19).replace('T', ' ')} UTC.`,
      );
      const rows = signalRows(SIGNALS, answer.versions, IN_COLUMNS);
      if (rows.length > 0) {
        printLine(out);
        printTable(
          out,
          [
            { title: 'version', align: 'right', value: (row) => row.version },
            { title: 'signal', value: (row) => row.signal },
            { title: 'measured', value: (row) => row.figures },
          ],
          rows,
        );
      }
      for (const { version, errors } of answer.versions) {
        const listed = (callers: boolean): string =>
          errors.flatMap(({ code, fault, count }) => ((fault === 'caller') === callers ? [`${code} ${count}`] : [])).join(', ');
        if (listed(false) !== '') printLine(out, `${paint(out, 'red', 'failures')} of ${model}@${version}: ${listed(false)}`);
        if (listed(true) !== '') printLine(out, `refused by ${model}@${version} for what callers sent: ${listed(true)}`);
      }
    });
}

/** Nothing reported may be a name misspelt: `MODEL_UNKNOWN`, `DEVICE_UNKNOWN`. Agents of packages report without a release on the hub. */
async function checkNames(hub: HubClient, model: string, device: string | undefined): Promise<void> {
  const [{ modelDetailSchema }, { deviceDetailSchema }] = await Promise.all([
    import('../registry/views.js'),
    import('../fleet/device-view.js'),
  ]);
  if (kindRow(model).predicts) await hub.get(modelDetailSchema, `/api/v1/models/${model}`);
  if (device !== undefined) await hub.get(deviceDetailSchema, `/api/v1/devices/${encodeURIComponent(device)}`);
}
