import type { Command } from 'commander';
import { printJson, printLine } from '#shared/terminal/output.js';
import { type CommonOptions, outputOf, withJson } from './common.js';

interface KeyOptions extends CommonOptions {
  readonly name: string;
  readonly role: readonly string[];
}

/** Prefix of our keys, by which scanners for secrets can know them. */
const KEY_PREFIX = 'skerry_';

export function addAccess(program: Command): void {
  const access = program.command('access').description('Make keys for the local API and check access files.');
  access.addHelpText(
    'after',
    '\nExamples:\n  skerry-agent access key --name camera --role caller\n  skerry-agent access check access.yaml',
  );
  const key = access
    .command('key')
    .description('Make a new key and print the entry for the access file. The key itself is shown once and stored nowhere.')
    .requiredOption('--name <name>', 'Name of the client, as logs show it.')
    .option('--role <role>', 'Role of the client; can be repeated.', (role: string, list: readonly string[]) => [...list, role], []);
  key.addHelpText('after', '\nExample:\n  skerry-agent access key --name camera --role caller');
  withJson(key).action(async (options: KeyOptions) => {
    const out = outputOf(options);
    const { randomBytes, createHash } = await import('node:crypto');
    const secret = `${KEY_PREFIX}${randomBytes(32).toString('base64url')}`;
    const digest = `sha256:${createHash('sha256').update(secret).digest('hex')}`;
    const entry = { name: options.name, digest, roles: options.role };
    if (out.json) {
      printJson(out, { key: secret, entry });
      return;
    }
    printLine(out, `Key, for the client alone: ${secret}`);
    printLine(out, 'Entry for "keys" in the access file:');
    printLine(out, `  - ${JSON.stringify(entry)}`);
  });
  const check = access
    .command('check')
    .description('Read an access file and report what is wrong with it.')
    .argument('<file>', 'The access file.');
  withJson(check).action(async (file: string, options: CommonOptions) => {
    const out = outputOf(options);
    const [{ readFile }, { parseAccessFile }] = await Promise.all([import('node:fs/promises'), import('../serve/access/access-file.js')]);
    const rules = await parseAccessFile(await readFile(file, 'utf8'), file);
    const summary = { file, keys: rules.keys.size, tokens: rules.tokens !== undefined };
    const keys = `${summary.keys} ${summary.keys === 1 ? 'key' : 'keys'}`;
    if (out.json) printJson(out, summary);
    else printLine(out, `${file} is valid: ${keys}${summary.tokens ? ', and tokens' : ''}.`);
  });
}
