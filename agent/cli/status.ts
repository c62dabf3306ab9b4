import type { Command } from 'commander';
import { foregroundClock, sleep } from '#shared/kernel/clock.js';
import { formatAgo, formatBytes, formatDuration } from '#shared/terminal/format.js';
import { type Output, paint, printJson, printLine, printTable } from '#shared/terminal/output.js';
import { type CommonOptions, dataOf, outputOf, withData, withJson } from './common.js';
import type { LocalApi, Status } from './local-api.js';
import { MODEL_COLUMNS, modelRows } from './models.js';

interface StatusOptions extends CommonOptions {
  readonly watch?: boolean;
}

const WATCH_EVERY_MS = 1_000;
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

export function addStatus(program: Command): void {
  const command = program
    .command('status')
    .description('Show the state of the agent: link, models, outbox, disk, trust and clock.')
    .option('--watch', 'Refresh every second. With --json: print one JSON document per line.');
  command.addHelpText('after', '\nExamples:\n  skerry-agent status --data ./device\n  skerry-agent status --watch');
  withJson(withData(command)).action(async (options: StatusOptions) => {
    const out = outputOf(options);
    const { LocalApi } = await import('./local-api.js');
    const api = await LocalApi.find(dataOf(options));
    await showOnce(out, api, false);
    while (options.watch === true) {
      await sleep(foregroundClock, WATCH_EVERY_MS);
      await showOnce(out, api, true);
    }
  });
}

async function showOnce(out: Output, api: LocalApi, again: boolean): Promise<void> {
  const status = await api.status();
  if (out.json) {
    printJson(out, { ...status, http: api.agent.http, socket: api.agent.socket });
    return;
  }
  if (again && out.interactive) out.stdout.write(CLEAR_SCREEN);
  else if (again) printLine(out);
  show(out, api, status, Date.now());
}

function diskText(out: Output, { usedBytes, budgetBytes, error }: Status['reported']['disk']): string {
  const used = `${formatBytes(usedBytes)} of ${formatBytes(budgetBytes)} for models`;
  return error === undefined ? used : `${used}, ${paint(out, 'red', `${error.message} [${error.code}]`)}`;
}

function show(out: Output, api: LocalApi, status: Status, now: number): void {
  const { reported } = status;
  const labels = Object.entries(reported.labels).map(([key, value]) => `${key}=${value}`);
  printLine(out, `${paint(out, 'bold', reported.device)} in fleet ${status.fleet}${labels.length === 0 ? '' : ` (${labels.join(', ')})`}`);
  const started = formatDuration(now - Date.parse(status.startedAt));
  const lines: readonly (readonly [string, string])[] = [
    ['agent', `${status.version}, process ${status.pid}, up ${started}, start number ${reported.boot}`],
    ['link', linkText(out, status, now)],
    ['local API', [api.agent.http, api.agent.socket].filter((where) => where !== null).join(' and ')],
    ...accessLine(out, status),
    ['desired', desiredText(out, status)],
    ['trust', trustText(out, status)],
    ['clock', reported.clock.trusted ? 'trusted' : paint(out, 'yellow', `not trusted: ${reported.clock.reason ?? 'no reason given'}`)],
    ['outbox', outboxText(reported.outbox)],
    ['disk', diskText(out, reported.disk)],
    ...memoryLine(status),
    [
      'runtime',
      `${reported.capabilities.runtime.name} ${reported.capabilities.runtime.version}: ${reported.capabilities.providers.join(', ')}`,
    ],
  ];
  for (const [title, text] of lines) printLine(out, `${paint(out, 'dim', title.padEnd(10))} ${text}`);
  printLine(out);
  printTable(out, MODEL_COLUMNS, modelRows(reported.models, status.memory?.versions), 'No model yet.');
}

function memoryLine({ memory }: Status): readonly (readonly [string, string])[] {
  if (memory === undefined) return [];
  const { heldBytes, budgetBytes } = memory;
  return [['memory', `${formatBytes(heldBytes)}${budgetBytes === undefined ? '' : ` of ${formatBytes(budgetBytes)}`} for loaded models`]];
}

function accessLine(out: Output, { access }: Status): readonly (readonly [string, string])[] {
  if (access?.warning !== undefined) return [['access', paint(out, 'yellow', access.warning)]];
  if (access?.file === undefined) return [];
  const problem = access.error === undefined ? '' : paint(out, 'red', `, changed since and refused: ${access.error.message}`);
  return [['access', `by ${access.file}${problem}`]];
}

function linkText(out: Output, { link, hub }: Status, now: number): string {
  if (link.kind === 'connecting') return `connecting to the broker of ${hub}`;
  if (link.kind === 'online') return `${paint(out, 'green', 'online')} at ${link.broker}, ${formatAgo(link.since, now)}`;
  const next = link.nextAttemptAt === undefined ? '' : `; next attempt in ${formatDuration(Math.max(0, link.nextAttemptAt - now))}`;
  const reason = link.reason === undefined ? '' : `: ${link.reason}`;
  return `${paint(out, 'yellow', 'offline')} since ${formatAgo(link.since, now)}${reason}${next}`;
}

function desiredText(out: Output, { reported }: Status): string {
  const { counter, refused } = reported.desired;
  const accepted = counter === 0 ? 'nothing yet' : `statement ${counter}`;
  return refused === undefined
    ? accepted
    : `${accepted}; ${paint(out, 'red', `the newest was refused, ${refused.code}`)}: ${refused.message}`;
}

function trustText(out: Output, { reported }: Status): string {
  const { root, timestamp, snapshot, error, unavailable = [] } = reported.trust;
  const versions = `root ${root}, timestamp ${timestamp}, snapshot ${snapshot}`;
  const publishers = unavailable.map((entry) => `; publisher ${entry.role} ${paint(out, 'yellow', entry.error.code)}`).join('');
  return error === undefined ? `${versions}${publishers}` : `${versions}${publishers}; ${paint(out, 'red', error.code)}: ${error.message}`;
}

function outboxText(outbox: Status['reported']['outbox']): string {
  const lost = outbox.dropped + outbox.coarsened === 0 ? '' : `; ${outbox.dropped} dropped and ${outbox.coarsened} made coarser for space`;
  return `${outbox.records} records, ${formatBytes(outbox.bytes)}${lost}`;
}
