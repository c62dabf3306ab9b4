import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { systemClock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { type Capabilities, DEVICE_ID_RULE, deviceIdSchema, LABELS_RULE, labelsSchema } from '#shared/protocol/device.js';
import { formatDuration } from '#shared/terminal/format.js';
import { paint, printJson, printLine, printNote } from '#shared/terminal/output.js';
import { shellQuote } from '#shared/terminal/shell-quote.js';
import { describeDevice } from '../capabilities.js';
import { readAuthorities } from '../config.js';
import { type CommonOptions, dataOf, outputOf, withData, withJson } from './common.js';
import { findRunning } from '../running.js';
import { probeRuntime } from './runtime-probe.js';

interface EnrollFlags extends CommonOptions {
  readonly hub: string;
  readonly token: string;
  readonly name?: string;
  readonly label: Readonly<Record<string, string>>;
  readonly caFile?: string;
  readonly keyFile?: string;
  readonly force?: boolean;
  readonly newKey?: boolean;
}

export function addEnroll(program: Command): void {
  const command = program
    .command('enroll')
    .description('Enrol this device in a fleet: create its key, get its identity and pin the root of trust.')
    .requiredOption('--hub <url>', 'URL of the hub, such as https://hub.example:7480.')
    .addOption(
      new Option('--token <token>', 'Enrolment token from `skerry token create`.').env('SKERRY_ENROLL_TOKEN').makeOptionMandatory(),
    )
    .option('--name <device>', `Name of the device: ${DEVICE_ID_RULE}. (default: chosen by the hub)`)
    .option('--label <key=value>', `Label of the device. Repeatable. Allowed: ${LABELS_RULE}.`, addLabel, {})
    .option('--ca-file <file>', 'PEM file with the CA that issued the certificates of hub and broker.')
    .option('--key-file <file>', 'File with at least 32 bytes that encrypts the device key. (default: one created in the data folder)')
    .option('--force', 'Replace an existing identity. Labels and certificates stay unless given again.')
    .option('--new-key', 'Create a new key, to make a copied device a device of its own.');
  command.addHelpText(
    'after',
    '\nExamples:\n  skerry-agent enroll --hub http://127.0.0.1:7480 --token TOKEN --data ./device --name cam-7 --label site=lab' +
      '\n  SKERRY_ENROLL_TOKEN=TOKEN skerry-agent enroll --hub https://hub.example:7480 --ca-file ca.pem',
  );
  withJson(withData(command)).action((flags: EnrollFlags) => runEnroll(flags));
}

function addLabel(text: string, labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('a label is KEY=VALUE');
  return { ...labels, [text.slice(0, at)]: text.slice(at + 1) };
}

const saidSchema = z.object({ name: deviceIdSchema.optional(), labels: labelsSchema });

async function runEnroll(flags: EnrollFlags): Promise<void> {
  const out = outputOf(flags);
  const data = dataOf(flags);
  keepNativePartsBelow(data);
  const said = { name: flags.name, labels: flags.label };
  const { name, labels } = narrow(saidSchema, said, 'what the command line says of the device', 'CLI_USAGE');
  const { enroll } = await import('../sync/enroll.js');
  const { identity, clockOffset } = await enroll({
    data,
    hub: hubUrl(flags.hub),
    token: flags.token,
    ...(name === undefined ? {} : { name }),
    labels,
    capabilities: await measureCapabilities(),
    agentVersion: SKERRY_VERSION,
    ...(flags.caFile === undefined ? {} : { ca: await readAuthorities(flags.caFile) }),
    ...(flags.keyFile === undefined ? {} : { keySecretFile: flags.keyFile }),
    force: flags.force === true,
    newKey: flags.newKey === true,
    clock: systemClock,
  });
  if (out.json) {
    printJson(out, {
      device: identity.device,
      fleet: identity.fleet,
      hub: identity.hub,
      broker: identity.mqtt.url,
      labels: identity.labels,
      data,
    });
    return;
  }
  printLine(out, `Enrolled as ${paint(out, 'bold', identity.device)} in fleet ${identity.fleet}.`);
  printLine(out, `Everything of this device is in ${data}; its broker is ${identity.mqtt.url}.`);
  if (Math.abs(clockOffset) > 5 * 60_000) {
    printNote(out, `The clocks of hub and device differ by ${formatDuration(Math.abs(clockOffset))}; set the wrong one.`);
  }
  const running = await findRunning(data).catch(() => undefined);
  const folder = flags.data === undefined ? '' : ` --data ${shellQuote(data)}`;
  if (running === undefined) printLine(out, `The service of a package starts by itself now; without one: skerry-agent run${folder}`);
  else if (running.device === identity.device) {
    printLine(out, `The agent that runs here (process ${running.pid}) goes on, and connects with the new credentials.`);
  } else
    printLine(
      out,
      `The agent that runs here (process ${running.pid}) is still ${running.device}: restart it to run as ${identity.device}.`,
    );
}

function hubUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new SkerryError('CLI_USAGE', `--hub must be the http or https URL of the hub's API, not ${text}`);
  }
  return url.href.replace(/\/$/, '');
}

async function measureCapabilities(): Promise<Capabilities> {
  try {
    return describeDevice(await probeRuntime());
  } catch (cause) {
    // A device whose runtime does not load can still be enrolled, and then says by itself what is wrong.
    return describeDevice({ name: 'onnxruntime-node', version: asSkerryError(cause).code, providers: [] });
  }
}
