import { SkerryError } from '#shared/kernel/errors.js';
import { NODE_VERSION, type Target } from '../targets.js';

/** Parts that were brought from elsewhere. */
export interface GivenParts {
  /** Folder of an unpacked Node.js distribution. */
  readonly node?: string;
  /** better_sqlite3.node for the target, compiled against that Node.js. */
  readonly sqlite?: string;
}

/** What a target is built from and on. */
export interface BuildSituation {
  readonly host: { readonly platform: string; readonly arch: string };
  readonly given: GivenParts;
  /** Folders platform/arch that onnxruntime-node has libraries in, as `linux/x64`. */
  readonly runtimes: readonly string[];
  /** Processors whose programs can be called, this machine's and those an emulator is installed for. */
  readonly emulated: readonly string[];
}

/** Everything that keeps a target from being built here, as sentences that say what would help. Pure; empty when nothing does. */
export function whatIsMissing(target: Target, { host, given, runtimes, emulated }: BuildSituation): readonly string[] {
  const missing: string[] = [];
  const { platform, arch, name } = target;
  if (!runtimes.includes(`${platform}/${arch}`)) missing.push(`onnxruntime-node has no library of ONNX Runtime for ${name}`);
  if (host.platform !== 'linux' && host.platform !== platform)
    missing.push(`${name} is built on Linux or on ${platform}, not on ${host.platform}`);
  if (host.platform === 'linux' && platform === 'linux' && !emulated.includes(arch))
    missing.push(`what is compiled beforehand for ${name} is compiled by its own Node.js, emulated: install qemu-user-static`);
  if (target.node.kind === 'given' && given.node === undefined) {
    const archive = `node-v${NODE_VERSION}-${name}.tar.gz`;
    missing.push(
      `npm has no Node.js ${NODE_VERSION} for ${name}: unpack ${archive} from nodejs.org, checked by its SHASUMS256.txt, and give --node FOLDER`,
    );
  }
  if (host.platform !== platform && platform === 'darwin')
    missing.push('an executable for macOS has to be signed, at least ad hoc, by codesign: build it on a Mac');
  if (platform === 'win32' && given.sqlite === undefined) {
    missing.push(
      `better-sqlite3 is compiled by Visual C++ against the headers and node.lib of Node.js ${NODE_VERSION} on Windows: give --sqlite FILE`,
    );
  }
  return missing;
}

/** Throws `PACKAGE_PART_MISSING` with everything that is missing at once. */
export function requireParts(target: Target, situation: BuildSituation): void {
  const missing = whatIsMissing(target, situation);
  if (missing.length === 0) return;
  throw new SkerryError('PACKAGE_PART_MISSING', `${target.name} cannot be built here:\n- ${missing.join('\n- ')}`, {
    details: { target: target.name, missing: [...missing] },
  });
}

/** First bytes of what each system loads: ELF, Mach-O (64 bit, little-endian), PE. */
const MAGIC: Readonly<Record<Target['platform'], string>> = { linux: '7f454c46', darwin: 'cffaedfe', win32: '4d5a' };

/** Refuses an addon that is for another system: `PACKAGE_USAGE`. `head` is its first bytes. */
export function checkAddonKind(target: Target, file: string, head: Uint8Array): void {
  if (Buffer.from(head).toString('hex').startsWith(MAGIC[target.platform])) return;
  throw new SkerryError('PACKAGE_USAGE', `${file} is no addon for ${target.platform}`);
}
