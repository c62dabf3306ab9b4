import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { createOutput, printLine } from '#shared/terminal/output.js';
import { readPassphrase } from '#shared/terminal/passphrase.js';
import { runCli } from '#shared/terminal/run-cli.js';
import { createKeyFile, type KeySecret, passphraseSecret, readKeyFile } from '#shared/trust/key-file.js';
import { publicKeySchema } from '#shared/trust/keys.js';
import { checksumsHold, publicKeyPem, signChecksums } from './archive/checksums.js';

interface KeyFlags {
  readonly key: string;
  readonly passphraseFile?: string;
}

const out = createOutput({ json: false });
const program = new Command('release-key').description('the key that signs the checksums of released packages');

withKey(
  program.command('create').description('make a key, sealed by a passphrase; its public half is printed and written beside it'),
).action(async (flags: KeyFlags) => {
  const { publicKey } = await createKeyFile(flags.key, await secretOf(flags, true));
  await writeFile(`${flags.key}.pub.pem`, publicKeyPem(publicKey));
  printLine(out, publicKey);
});

withKey(program.command('sign').description('sign SHA256SUMS').argument('<file>')).action(async (file: string, flags: KeyFlags) => {
  const key = await readKeyFile(flags.key, await secretOf(flags, false));
  await writeFile(`${file}.sig`, signChecksums((await bytesOf(file)).toString('utf8'), key));
  printLine(out, `${file}.sig, by ${key.publicKey}`);
});

program
  .command('verify')
  .description('check SHA256SUMS against its signature; openssl pkeyutl -verify -rawin does the same with the .pub.pem')
  .argument('<file>')
  .requiredOption('--public <hex>', 'the public key')
  .action(async (file: string, flags: { public: string }) => {
    const key = publicKeySchema.safeParse(flags.public);
    if (!key.success) throw new SkerryError('CLI_USAGE', '--public wants an Ed25519 key in lower-case hex');
    if (!checksumsHold(await bytesOf(file), await bytesOf(`${file}.sig`), key.data)) {
      throw new SkerryError('PACKAGE_INTEGRITY', `${file} is not signed by ${flags.public}`);
    }
    printLine(out, 'good');
  });

await runCli(program);

function withKey(command: Command): Command {
  return command
    .requiredOption('--key <file>', 'the sealed key file')
    .option('--passphrase-file <file>', 'file whose first line opens it (or SKERRY_PASSPHRASE, or it is asked for)');
}

async function bytesOf(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw asSkerryError(cause, 'IO_FAILED');
  });
}

async function secretOf(flags: KeyFlags, confirm: boolean): Promise<KeySecret> {
  const file = flags.passphraseFile;
  return passphraseSecret(
    await readPassphrase(out, { what: 'release key', variable: 'SKERRY_PASSPHRASE', confirm, ...(file === undefined ? {} : { file }) }),
  );
}
