import { describe, expect, it } from 'vitest';
import { formatsFor } from '#packaging/archive/linux-package.js';
import { type BuildSituation, checkAddonKind, requireParts, whatIsMissing } from '#packaging/build/requirements.js';
import { runtimesInstalled } from '#packaging/build/natives.js';
import { STANDARD_TARGETS, TARGET_NAMES, TARGETS, targetNamed } from '#packaging/targets.js';
import { coded } from '../kit/coded.js';

const RUNTIMES = ['linux/x64', 'linux/arm64', 'darwin/arm64', 'win32/x64'];

function situation(platform: string, arch: string, given: BuildSituation['given'] = {}): BuildSituation {
  return { host: { platform, arch }, given, runtimes: RUNTIMES, emulated: ['x64', 'arm64'] };
}

describe('the table of targets', () => {
  it('names each target by its platform and processor', () => {
    for (const name of TARGET_NAMES) expect(name).toBe(`${TARGETS[name].platform}-${TARGETS[name].arch}`);
  });

  it('pins every runtime that npm has', () => {
    const pinned = Object.values(TARGETS).flatMap(({ node }) => (node.kind === 'npm' ? [node.integrity] : []));
    expect(pinned).toHaveLength(3);
    for (const integrity of pinned) expect(Buffer.from(integrity.replace(/^sha512-/, ''), 'base64')).toHaveLength(64);
  });

  it('says which there are when another is asked for', () => {
    expect(() => targetNamed('plan9-mips')).toThrow(coded('PACKAGE_USAGE'));
  });
});

describe('what a target needs', () => {
  it('is all there on Linux for what is built when nothing is named', async () => {
    const runtimes = await runtimesInstalled();
    for (const name of STANDARD_TARGETS) {
      expect(whatIsMissing(TARGETS[name], { ...situation('linux', 'x64'), runtimes })).toEqual([]);
    }
  });

  it.each([
    ['darwin-arm64 on Linux', 'darwin-arm64', situation('linux', 'x64'), ['--node FOLDER', 'codesign']],
    ['darwin-arm64 on a Mac', 'darwin-arm64', situation('darwin', 'arm64'), ['--node FOLDER']],
    ['darwin-arm64 on a Mac, Node.js given', 'darwin-arm64', situation('darwin', 'arm64', { node: '/n' }), []],
    ['darwin-x64 on a Mac, Node.js given', 'darwin-x64', situation('darwin', 'x64', { node: '/n' }), ['no library of ONNX Runtime']],
    ['win32-x64 on Linux', 'win32-x64', situation('linux', 'x64'), ['--sqlite FILE']],
    ['win32-x64 on Linux, SQLite given', 'win32-x64', situation('linux', 'x64', { sqlite: '/s' }), []],
    [
      'linux-arm64 on Linux x64 without an emulator',
      'linux-arm64',
      { ...situation('linux', 'x64'), emulated: ['x64'] },
      ['qemu-user-static'],
    ],
    ['linux-x64 on a Mac', 'linux-x64', situation('darwin', 'arm64'), ['is built on Linux']],
  ] as const)('%s', (_what, name, where, expected) => {
    const missing = whatIsMissing(TARGETS[name], where);
    expect(missing).toHaveLength(expected.length);
    for (const [i, part] of expected.entries()) expect(missing[i]).toContain(part);
  });

  it('is said at once, with a code', () => {
    expect(() => requireParts(TARGETS['darwin-x64'], situation('linux', 'x64'))).toThrow(coded('PACKAGE_PART_MISSING'));
  });
});

describe('an addon that was given', () => {
  it.each([
    ['win32-x64', '4d5a9000'],
    ['darwin-arm64', 'cffaedfe'],
    ['linux-x64', '7f454c46'],
  ] as const)('for %s that begins with %s is taken', (name, head) => {
    expect(() => checkAddonKind(TARGETS[name], 'a.node', Buffer.from(head, 'hex'))).not.toThrow();
  });

  it.each([
    ['win32-x64', '7f454c46'],
    ['darwin-arm64', 'cafebabe'],
    ['linux-x64', ''],
  ] as const)('for %s that begins with "%s" is refused', (name, head) => {
    expect(() => checkAddonKind(TARGETS[name], 'a.node', Buffer.from(head, 'hex'))).toThrow(coded('PACKAGE_USAGE'));
  });
});

describe('formats', () => {
  it('of a target are those it has, and there is no .deb for another system', () => {
    expect(formatsFor(TARGETS['win32-x64'], ['executable', 'deb', 'tar.gz'])).toEqual(['executable', 'tar.gz']);
    expect(() => formatsFor(TARGETS['darwin-arm64'], ['deb'])).toThrow(coded('PACKAGE_USAGE'));
  });
});
