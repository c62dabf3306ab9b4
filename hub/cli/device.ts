import { LABELS_RULE } from '#shared/protocol/device.js';
import type { Command } from 'commander';
import { kindRow, PACKAGED_RELEASE } from '#shared/bundle/kinds.js';
import { AGENT_MODEL } from '#shared/bundle/names.js';
import { formatAgo } from '#shared/terminal/format.js';
import { type Output, paint, printJson, printLine, printNote, printTable } from '#shared/terminal/output.js';
import type { DeviceDetail, DeviceList, DeviceSummary } from '../fleet/device-view.js';
import { registerDeviceIdentityCommands } from './device-identity.js';
import { parseLabels } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

interface ListFlags extends CommonFlags {
  readonly selector?: string;
  readonly presence?: string;
  readonly revoked?: boolean;
}

/** Adds `skerry device list|show|label|settle|remove|restore|replace`. */
export function registerDeviceCommands(program: Command, deps: CliDeps): void {
  const device = program.command('device').description('List, show and manage devices.');
  hubCommand(device, 'list', 'List the devices.', ['skerry device list', "skerry device list --selector 'site=lab,tier in (gold,silver)'"])
    .option('--selector <labels>', 'Show only devices that match this label selector (Kubernetes syntax).')
    .option('--presence <state>', 'Show only devices with this presence: online, offline or never.')
    .option('--revoked', 'Include removed devices.')
    .action(async (flags: ListFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deviceListSchema } = await import('../fleet/device-view.js');
      const query = { selector: flags.selector, presence: flags.presence, revoked: flags.revoked };
      const answer = await hub.get(deviceListSchema, '/api/v1/devices', query);
      if (out.json) printJson(out, answer);
      else printDevices(out, answer, deps.clock.now());
    });
  hubCommand(device, 'show', 'Show a device: its properties, desired state and reported state.', ['skerry device show cam-7'])
    .argument('<device>', 'Name of the device.')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deviceDetailSchema } = await import('../fleet/device-view.js');
      const detail = await hub.get(deviceDetailSchema, `/api/v1/devices/${encodeURIComponent(id)}`);
      if (out.json) printJson(out, detail);
      else printDevice(out, detail, deps.clock.now());
    });
  hubCommand(device, 'label', 'Set or remove labels of a device.', [
    'skerry device label cam-7 site=lab tier=gold',
    'skerry device label cam-7 tier-',
  ])
    .argument('<device>', 'Name of the device.')
    .argument('<labels...>', `Label to set as key=value, or key- to remove one: ${LABELS_RULE}.`)
    .action(async (id: string, labels: string[], flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deviceDetailSchema } = await import('../fleet/device-view.js');
      const detail = await hub.patch(deviceDetailSchema, `/api/v1/devices/${encodeURIComponent(id)}/labels`, parseLabels(labels, true));
      if (out.json) printJson(out, detail);
      else printLine(out, `${detail.id}: ${labelText(detail.labels)}`);
    });
  hubCommand(device, 'settle', 'Clear the mark of a device that was copied or restored from an older image.', [
    'skerry device settle cam-7',
    'skerry device settle cam-7 --keep pi-b',
  ])
    .argument('<device>', 'Name of the device.')
    .option('--keep <copy>', 'Copy that keeps the name: its host name, or the first characters of the name of its start.')
    .action(async (id: string, flags: CommonFlags & { readonly keep?: string }) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deviceDetailSchema } = await import('../fleet/device-view.js');
      const body = flags.keep === undefined ? {} : { keep: flags.keep };
      const detail = await hub.post(deviceDetailSchema, `/api/v1/devices/${encodeURIComponent(id)}/settle`, body);
      if (out.json) printJson(out, detail);
      else if (detail.marks.length === 0) printLine(out, `${id}: settled`);
      else printMarks(out, detail);
    });
  registerDeviceIdentityCommands(device, deps);
}

function printDevices(out: Output, { devices, notice }: DeviceList, now: number): void {
  printTable(
    out,
    [
      { title: 'device', value: (row) => row.id },
      { title: 'presence', value: (row) => presence(out, row, now) },
      {
        title: 'noticed',
        value: (row) => (row.marks.length === 0 ? undefined : paint(out, 'yellow', row.marks.map(({ mark }) => mark).join(' '))),
      },
      { title: 'labels', value: (row) => labelText(row.labels) },
      { title: 'serving', value: (row) => servedModels(row) },
      { title: 'trouble', value: (row) => troubleText(row) },
      { title: 'agent', value: (row) => agentText(row) },
      { title: 'platform', value: (row) => row.platform },
    ],
    devices,
    'No device fits. A device joins with "skerry token create enrolment" here and "skerry-agent enroll" there.',
  );
  if (notice !== null) printNote(out, paint(out, 'red', notice));
  if (devices.some(({ marks }) => marks.length > 0)) printNote(out, 'what was noticed of a device: skerry device show DEVICE');
}

function printMarks(out: Output, { marks }: DeviceSummary): void {
  for (const { mark, message } of marks) printLine(out, `${paint(out, 'yellow', mark.padEnd(12))} ${message}`);
}

function presence(out: Output, device: DeviceSummary, now: number): string {
  const { state, since } = device.presence;
  if (device.revokedAt !== null) return paint(out, 'red', 'removed');
  const text = since === null ? state : `${state} ${formatAgo(Date.parse(since), now)}`;
  return state === 'online' ? paint(out, 'green', text) : paint(out, 'yellow', text);
}

function troubleText({ troubles, trustTroubles }: DeviceSummary): string {
  const trust = trustTroubles.map(({ role, code }) => (role === null ? `trust ${code}` : `publisher ${role} ${code}`));
  return [...trust, ...troubles.map((entry) => `${entry.model}@${entry.version} ${entry.code}`)].join(' ');
}

/** The models; which release of the agent runs stands in a column of its own. */
function servedModels({ serving }: DeviceSummary): string {
  const models = serving.filter((entry) => kindRow(entry.model).predicts);
  return models.map((entry) => `${entry.model}@${entry.version}`).join(' ');
}

/** The release as people call it, and its counter where it is not the one of the package. */
function agentText({ agentVersion, selfUpdate }: DeviceSummary): string {
  const release = selfUpdate?.release ?? PACKAGED_RELEASE;
  return release === PACKAGED_RELEASE ? agentVersion : `${agentVersion} (${AGENT_MODEL}@${release})`;
}

function updatesText({ selfUpdate }: DeviceSummary): string {
  if (selfUpdate === null) return 'it does not say whether the agent can replace itself';
  return selfUpdate.able
    ? 'the agent can replace itself'
    : `the agent cannot replace itself: ${selfUpdate.reason ?? 'it does not say why'}`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

function printDevice(out: Output, device: DeviceDetail, now: number): void {
  const { capabilities, desired, reported } = device;
  printLine(out, `${paint(out, 'bold', device.id)}  ${presence(out, device, now)}`);
  printMarks(out, device);
  printLine(out, `labels       ${labelText(device.labels) || '-'}`);
  printLine(out, `agent        ${agentText(device)}, ${capabilities.runtime.name} ${capabilities.runtime.version}`);
  printLine(out, `updates      ${updatesText(device)}`);
  printLine(
    out,
    `machine      ${capabilities.os} ${capabilities.arch}, ${capabilities.cpus} cpus, providers ${capabilities.providers.join(', ')}`,
  );
  printLine(out, `enrolled     ${formatAgo(Date.parse(device.enrolledAt), now)}`);
  printLine(out, `reported     ${device.reportedAt === null ? 'never' : formatAgo(Date.parse(device.reportedAt), now)}`);
  printLine(out, `desired      statement ${desired.counter}${reported === null ? '' : `, accepted ${reported.desired.counter}`}`);
  if (reported?.desired.refused !== undefined) {
    printLine(out, paint(out, 'red', `             refused: ${reported.desired.refused.message} [${reported.desired.refused.code}]`));
  }
  for (const { role, error } of reported?.trust.unavailable ?? [])
    printLine(out, paint(out, 'yellow', `trust        nothing new of publisher ${role}: ${error.message}`));
  if (reported?.trust.error !== undefined)
    printLine(out, paint(out, 'yellow', `trust        nothing new: ${reported.trust.error.message}`));
  if (reported !== null && !reported.clock.trusted)
    printLine(out, paint(out, 'yellow', `clock        not trusted: ${reported.clock.reason ?? ''}`));
  printLine(out);
  const wanted = new Map<string, number>(desired.models.map((entry) => [entry.model, entry.version]));
  const rows = (reported?.models ?? []).flatMap((entry) =>
    entry.versions.map((version) => ({ model: entry.model, serving: entry.serving === version.version, ...version })),
  );
  printTable(
    out,
    [
      { title: 'model', value: (row) => `${row.model}@${row.version}` },
      {
        title: '',
        value: (row) => [row.serving ? 'serves' : '', wanted.get(row.model) === row.version ? 'wanted' : ''].filter(Boolean).join(', '),
      },
      { title: 'state', value: (row) => row.install },
      { title: 'runs on', value: (row) => (row.variant === undefined ? undefined : `${row.variant} ${row.provider ?? ''}`) },
      { title: 'error', value: (row) => (row.error === undefined ? undefined : `${row.error.code}: ${row.error.message}`) },
    ],
    rows,
    'It has not reported a model.',
  );
}
