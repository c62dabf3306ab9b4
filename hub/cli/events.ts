import type { Command } from 'commander';
import type { DeviceEvent } from '#shared/protocol/messages.js';
import { type Output, paint, printJson, printLine, printNote } from '#shared/terminal/output.js';
import type { StoredEvent } from '../telemetry/views.js';
import { parseSpan, parseWhole } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, type HubCommand, openHubCommand } from './deps.js';

interface EventFlags extends CommonFlags {
  readonly follow?: boolean;
  readonly limit: string;
  readonly since?: string;
  readonly device?: string;
  readonly model?: string;
  readonly kind?: string;
}

/** An event as it is shown, however it came. */
type Shown = Pick<StoredEvent, 'device' | 'boot' | 'seq' | 'at' | 'kind' | 'model' | 'version' | 'error' | 'detail'>;

/** Events remembered so that none is shown twice after the feed broke. */
const REMEMBERED = 10_000;

/** Adds `skerry events`. */
export function registerEventsCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'events', 'Show events of the devices, oldest first.', [
    'skerry events --since 1h --model vad',
    'skerry events --follow --json',
  ])
    .option('--follow', 'Keep printing new events, one per line (with --json: one object per line).')
    .option('--limit <n>', 'Number of newest events to show.', '50')
    .option('--since <duration>', 'Oldest age of the events, such as 1h. (default: no limit)')
    .option('--device <id>', 'Show only this device.')
    .option('--model <model>', 'Show only this model.')
    .option('--kind <kind>', 'Show only events of this kind, such as version.refused.')
    .action(async (flags: EventFlags) => {
      const command = await openHubCommand(deps, flags);
      const list = (): Promise<readonly StoredEvent[]> => listEvents(command, flags, deps.clock.now());
      if (flags.follow === true) return follow(command, flags, deps, list);
      const events = await list();
      if (command.out.json) return printJson(command.out, { events });
      if (events.length === 0) printLine(command.out, paint(command.out, 'dim', 'Nothing happened.'));
      for (const event of events) printEvent(command.out, event);
      return undefined;
    });
}

async function listEvents({ hub }: HubCommand, flags: EventFlags, now: number): Promise<readonly StoredEvent[]> {
  const { eventListSchema } = await import('../telemetry/views.js');
  const { events } = await hub.get(eventListSchema, '/api/v1/events', {
    limit: parseWhole(flags.limit, '--limit', 1, 1_000),
    since: flags.since === undefined ? undefined : new Date(now - parseSpan(flags.since, '--since')).toISOString(),
    device: flags.device,
    model: flags.model,
    kind: flags.kind,
  });
  return events.toReversed();
}

async function follow(
  { out, hub }: HubCommand,
  flags: EventFlags,
  deps: CliDeps,
  list: () => Promise<readonly StoredEvent[]>,
): Promise<void> {
  const { followLive } = await import('./live.js');
  const shown = new Set<string>();
  const show = (event: Shown): void => {
    const key = `${event.device} ${event.boot} ${event.seq}`;
    if (shown.has(key)) return;
    shown.add(key);
    if (shown.size > REMEMBERED) shown.delete([...shown.values()][0] ?? '');
    if (out.json) out.stdout.write(`${JSON.stringify(event)}\n`);
    else printEvent(out, event);
  };
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    await followLive({
      hub,
      kinds: ['device.event'],
      clock: deps.clock,
      signal: stop.signal,
      onOpen: async () => {
        for (const event of await list()) show(event);
      },
      onEvent: (event) => {
        if (event.kind === 'device.event' && wanted(event.event, flags)) show(fromLive(event.event));
      },
      onLost: (reason) => printNote(out, paint(out, 'dim', `the hub went away (${reason}); waiting for it`)),
    });
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

function wanted(event: DeviceEvent, flags: EventFlags): boolean {
  const fits = (filter: string | undefined, value: string | undefined): boolean => filter === undefined || filter === value;
  return fits(flags.device, event.device) && fits(flags.model, event.model) && fits(flags.kind, event.kind);
}

function fromLive(event: DeviceEvent): Shown {
  return { ...event, model: event.model ?? null, version: event.version ?? null, error: event.error ?? null, detail: event.detail ?? null };
}

function printEvent(out: Output, event: Shown): void {
  const subject = event.model === null ? '' : ` ${event.model}${event.version === null ? '' : `@${event.version}`}`;
  const detail = Object.entries(event.detail ?? {}).map(([key, value]) => `${key}=${String(value)}`);
  const error = event.error === null ? '' : paint(out, 'red', ` ${event.error.code}: ${event.error.message}`);
  const when = paint(out, 'dim', event.at.slice(0, 19).replace('T', ' '));
  printLine(
    out,
    `${when}  ${paint(out, 'bold', event.device)}  ${event.kind}${subject}${detail.length > 0 ? ` ${detail.join(' ')}` : ''}${error}`,
  );
}
