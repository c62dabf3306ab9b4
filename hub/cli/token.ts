import { counted } from '#shared/kernel/counted.js';
import { LABELS_RULE } from '#shared/protocol/device.js';
import { Argument, type Command } from 'commander';
import { SkerryError } from '#shared/kernel/errors.js';
import { formatAgo } from '#shared/terminal/format.js';
import { type Output, printJson, printLine, printNote, printTable } from '#shared/terminal/output.js';
import { ROLES } from '#hub/kernel/roles.js';
import { collectText } from './publish-options.js';
import { parseLabels, parseSpan, parseWhole } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

const KINDS = [...ROLES, 'enrolment'] as const;
type Kind = (typeof KINDS)[number];

interface CreateFlags extends CommonFlags {
  readonly name?: string;
  readonly expires?: string;
  readonly uses?: string;
  readonly label: readonly string[];
}

/** Adds `skerry token create|list|revoke`. */
export function registerTokenCommands(program: Command, deps: CliDeps): void {
  const token = program.command('token').description('Create, list and revoke tokens for people, programs and enrolment.');
  addCreate(token, deps);
  addList(token, deps);
  addRevoke(token, deps);
}

function addCreate(token: Command, deps: CliDeps): void {
  hubCommand(token, 'create', 'Create a token and print its secret, once, on standard output.', [
    'skerry token create enrolment --name lab --label site=lab --uses 10 --expires 1h',
    'skerry token create publisher --name ci --expires 90d',
    'TOKEN=$(skerry token create)',
  ])
    .addArgument(
      new Argument('[kind]', `Role of the token (${ROLES.join(', ')}), or enrolment for tokens of devices.`)
        .choices(KINDS)
        .default('enrolment'),
    )
    .option('--name <name>', 'Name of the token, for readers. (default: the kind)')
    .option('--expires <duration>', 'Validity, such as 1h or 90d. (default: 1h for enrolment, unlimited for roles)')
    .option('--uses <n>', 'For enrolment: number of devices that may use it. (default: 1)')
    .option('--label <key=value>', `For enrolment: label that its devices get. Repeatable. Allowed: ${LABELS_RULE}.`, collectText, [])
    .action(async (kind: Kind, flags: CreateFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const expiresInSeconds = flags.expires === undefined ? undefined : Math.ceil(parseSpan(flags.expires, '--expires') / 1_000);
      const common = { name: flags.name ?? kind, ...(expiresInSeconds === undefined ? {} : { expiresInSeconds }) };
      if (kind === 'enrolment') {
        const { createdEnrolmentTokenSchema } = await import('../fleet/enrolment-view.js');
        const uses = flags.uses === undefined ? {} : { maxUses: parseWhole(flags.uses, '--uses', 1, 1_000_000) };
        const body = { ...common, ...uses, labels: parseLabels(flags.label) };
        const created = await hub.post(createdEnrolmentTokenSchema, '/api/v1/enrolment-tokens', body);
        printCreated(out, created, `enrolment token ${created.id}: ${counted(created.maxUses, 'device')}, until ${created.expiresAt}`);
        return;
      }
      if (flags.uses !== undefined || flags.label.length > 0) {
        throw new SkerryError('CLI_USAGE', '--uses and --label apply only to enrolment tokens');
      }
      const { createdTokenSchema } = await import('../api/views.js');
      const created = await hub.post(createdTokenSchema, '/api/v1/tokens', { ...common, role: kind });
      printCreated(out, created, `${kind} token ${created.id} "${created.name}", until ${created.expiresAt ?? 'it is revoked'}`);
    });
}

function printCreated(out: Output, created: { readonly token: string }, note: string): void {
  if (out.json) return printJson(out, created);
  printNote(out, `${note}. It is shown only now:`);
  printLine(out, created.token);
}

function addList(token: Command, deps: CliDeps): void {
  hubCommand(token, 'list', 'List the tokens, without their secrets.', ['skerry token list']).action(async (flags: CommonFlags) => {
    const { out, hub } = await openHubCommand(deps, flags);
    const [{ apiTokenListSchema }, { enrolmentTokenListSchema }] = await Promise.all([
      import('../api/views.js'),
      import('../fleet/enrolment-view.js'),
    ]);
    const { tokens } = await hub.get(apiTokenListSchema, '/api/v1/tokens');
    const { tokens: enrolment } = await hub.get(enrolmentTokenListSchema, '/api/v1/enrolment-tokens');
    if (out.json) return printJson(out, { tokens, enrolment });
    const now = deps.clock.now();
    const rows = [
      ...tokens.map((row) => ({ ...row, kind: row.role as string, used: '' })),
      ...enrolment.map((row) => ({ ...row, kind: 'enrolment', used: `${row.uses} of ${row.maxUses}` })),
    ];
    printTable(
      out,
      [
        { title: 'id', value: (row) => row.id },
        { title: 'kind', value: (row) => row.kind },
        { title: 'name', value: (row) => row.name },
        { title: 'state', value: (row) => stateOf(row, now) },
        { title: 'used', value: (row) => row.used },
        { title: 'made', value: (row) => formatAgo(Date.parse(row.createdAt), now) },
      ],
      rows,
      'There are no tokens.',
    );
  });
}

interface TokenRow {
  readonly revokedAt: string | null;
  readonly expiresAt: string | null;
  /** Of enrolment tokens. */
  readonly uses?: number;
  readonly maxUses?: number;
}

function stateOf(row: TokenRow, now: number): string {
  if (row.revokedAt !== null) return 'revoked';
  if (row.uses !== undefined && row.maxUses !== undefined && row.uses >= row.maxUses) return 'used up';
  if (row.expiresAt === null) return 'good';
  return Date.parse(row.expiresAt) <= now ? 'expired' : `good until ${row.expiresAt.slice(0, 16).replace('T', ' ')}`;
}

function addRevoke(token: Command, deps: CliDeps): void {
  hubCommand(token, 'revoke', 'Revoke a token immediately.', ['skerry token revoke 0123456789ab'])
    .argument('<id>', 'Id of the token, as in "skerry token list".')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      if (!/^[0-9a-f]{12}$/.test(id)) throw new SkerryError('CLI_USAGE', `"${id}" is not the id of a token; see "skerry token list"`);
      const revoked = await revokeEither(hub, id);
      if (out.json) printJson(out, revoked);
      else printLine(out, `revoked ${id} "${revoked.name}"`);
    });
}

/** An id says not of which kind its token is. */
async function revokeEither(hub: Awaited<ReturnType<typeof openHubCommand>>['hub'], id: string): Promise<{ readonly name: string }> {
  const [{ apiTokenSchema }, { enrolmentTokenViewSchema }, { hasCode }] = await Promise.all([
    import('../api/views.js'),
    import('../fleet/enrolment-view.js'),
    import('#shared/kernel/errors.js'),
  ]);
  try {
    return await hub.delete(enrolmentTokenViewSchema, `/api/v1/enrolment-tokens/${id}`);
  } catch (cause) {
    if (!hasCode(cause, 'ENROL_TOKEN_UNKNOWN')) throw cause;
    return hub.delete(apiTokenSchema, `/api/v1/tokens/${id}`);
  }
}
