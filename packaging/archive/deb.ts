import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Effort, packTar } from './compress.js';
import { filesOf, installedSize, layOut, type TreeEntry } from './tree.js';

interface DebianPackage {
  /** Fields of the control file, in order, without Installed-Size. */
  readonly control: Readonly<Record<string, string>>;
  /** preinst, postinst, prerm, postrm. */
  readonly scripts: Readonly<Record<string, string>>;
  readonly entries: readonly TreeEntry[];
}

/** Builds a binary package (deb(5)) at `file`; the same input gives the same bytes. `work` is a folder for what lies between. */
export async function makeDeb(file: string, content: DebianPackage, work: string, epoch: number, effort: Effort): Promise<void> {
  const data = path.join(work, 'data');
  await layOut(data, content.entries);
  const control = path.join(work, 'control');
  const fields = { ...content.control, 'Installed-Size': String(await installedSize(data)) };
  const conffiles = content.entries.flatMap((entry) => (entry.kind === 'text' && entry.conffile === true ? [`/${entry.path}`] : []));
  await layOut(control, [
    text(
      'control',
      `${Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}`)
        .join('\n')}\n`,
    ),
    ...(conffiles.length === 0 ? [] : [text('conffiles', `${conffiles.join('\n')}\n`)]),
    text('md5sums', await md5sums(data)),
    ...Object.entries(content.scripts).map(([name, script]) => text(name, script, 0o755)),
  ]);
  const members = { 'control.tar.xz': control, 'data.tar.xz': data };
  const parts: Buffer[] = [arMember('debian-binary', Buffer.from('2.0\n'), epoch)];
  for (const [name, folder] of Object.entries(members)) {
    const packed = path.join(work, name);
    await packTar(folder, packed, '.', epoch, 'xz', effort);
    parts.push(arMember(name, await readFile(packed), epoch));
    await rm(packed);
  }
  await writeFile(file, Buffer.concat([Buffer.from('!<arch>\n'), ...parts]));
}

function text(name: string, content: string, mode = 0o644): TreeEntry {
  return { kind: 'text', path: name, text: content, mode };
}

/** One member of an ar archive (ar(5), common format): a header of fixed columns, then the bytes, padded to an even length. */
function arMember(name: string, bytes: Buffer, epoch: number): Buffer {
  const header = [
    name.padEnd(16),
    String(epoch).padEnd(12),
    '0'.padEnd(6),
    '0'.padEnd(6),
    '100644'.padEnd(8),
    String(bytes.byteLength).padEnd(10),
  ];
  const padding = bytes.byteLength % 2 === 0 ? '' : '\n';
  return Buffer.concat([Buffer.from(`${header.join('')}\`\n`, 'latin1'), bytes, Buffer.from(padding)]);
}

async function md5sums(root: string): Promise<string> {
  const lines: string[] = [];
  for (const file of await filesOf(root)) {
    // Conffiles are left out, as dpkg looks after them itself.
    if (file.startsWith('etc/')) continue;
    const digest = createHash('md5')
      .update(await readFile(path.join(root, file)))
      .digest('hex');
    lines.push(`${digest}  ${file}\n`);
  }
  return lines.join('');
}
