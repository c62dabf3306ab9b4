import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { assert, constantFrom, dictionary, property, string, stringMatching, uniqueArray } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bundleProgram, bundleStarter, wrapScript } from '#packaging/build/bundle.js';
import { makeCodeCaches } from '#packaging/build/code-cache.js';
import { fetchNode } from '#packaging/build/node-runtime.js';
import { functionLookup, functionsOf } from '#packaging/build/script-functions.js';
import { formatStartProfile, parseStartProfile, readStartProfile } from '#packaging/build/start-profile.js';
import { runTool } from '#packaging/build/tools.js';
import { PROGRAM_NAMES, PROGRAMS, TARGETS } from '#packaging/targets.js';
import { coded } from '../kit/coded.js';
import { type CalledFunction, readCalls } from '../kit/engine-coverage.js';
import { tempFolder } from '../kit/temp-folder.js';
import { whyNot } from './tools.js';

/** The engine is the one of the packages. */
const missing = whyNot([]);
const because = missing === undefined ? '' : ` (skipped: ${missing})`;

const SCRIPT = `(function (exports) {
  class Counter {
    static made = () => 0;
    #count = 0; step = (by) => () => by;
    constructor(from) { this.#count = from; }
    get count() { return this.#count; }
    async *each() { yield this.#count; }
    #more(by = () => 1) { this.#count += by(); return this; }
    more() { return this.#more(); }
  }
  const add = a => b => a + b, twice = function () { return add(1)(1); };
  const table = { 'a key'() { return 1; }, plain: () => 2, [twice()]: () => 3 };
  function unused() { return () => 4; }
  exports.unused = unused;
  exports.late = async () => [new Counter(1).more().count, new Counter(2).step(1)(), table['a key'](), table.plain(), table[2]()];
  exports.late();
  exports.each = async () => { for await (const one of new Counter(3).each()) return [one].map((x) => x + 1); };
  exports.each();
})`;

describe('the functions of a script', () => {
  it('have names that say where they are', () => {
    const keys = functionsOf(SCRIPT).map(({ key }) => key.replace(/^~1 > /, ''));
    expect(keys).toEqual(
      expect.arrayContaining(['Counter > <fields>', 'Counter > constructor', 'Counter > #more', 'Counter > #more > by']),
    );
    expect(keys).toEqual(expect.arrayContaining(['add', 'add > ~1', 'a key', 'plain', 'unused', 'unused > ~1', 'late', 'each > ~1']));
    expect(new Set(functionsOf(SCRIPT).map(({ key }) => key)).size).toBe(keys.length);
  });

  it('keep their names while code is put before them', () => {
    const more = SCRIPT.replace('const add', 'function before() { return () => [1, 2].map((x) => x); }\n  const add');
    const keys = new Set(functionsOf(more).map(({ key }) => key));
    expect(functionsOf(SCRIPT).filter(({ key }) => !keys.has(key))).toEqual([]);
  });

  it.skipIf(missing !== undefined)(`are those the engine counts the calls of${because}`, async () => {
    const called = await callsIn(SCRIPT);
    const lookup = functionLookup(functionsOf(SCRIPT));
    const keys = called.map(({ start, end }) => lookup(start, end)?.key.replace(/^~1 > /, ''));
    // The script itself is compiled in any case.
    const without = called.filter((_, at) => keys[at] === undefined).map(({ name }) => name);
    expect(without).toEqual(['']);
    expect(keys).toEqual(expect.arrayContaining(['Counter > <fields>', 'Counter > constructor', 'Counter > count', 'Counter > each']));
    expect(keys).toEqual(expect.arrayContaining(['Counter > #more', 'Counter > #more > by', 'Counter > step', 'Counter > step > ~1']));
    expect(keys).toEqual(expect.arrayContaining(['add', 'add > ~1', 'twice', 'a key', 'plain', 'late', 'each > ~1']));
    expect(keys).not.toContain('unused');
  });
});

/** Scripts that run in every start. */
const SCRIPTS = { agent: ['instance', 'main', 'store'], hub: ['main'] };

describe('the profile of a start', () => {
  it('is read back as it was written', () => {
    const key = string({ unit: constantFrom('a', '#', '<', ' > ', '~1', '/', '.'), minLength: 1 }).map((text) => `k${text}`);
    const keys = uniqueArray(key).map((all) => new Set(all));
    assert(
      property(dictionary(stringMatching(/^[a-z]{1,8}$/), keys), (sections) => {
        const profile = new Map(Object.entries(sections));
        expect(parseStartProfile(formatStartProfile(profile))).toEqual(profile);
      }),
    );
  });

  it('is refused when it is none', () => {
    expect(() => parseStartProfile('a function\n')).toThrow(coded('PACKAGE_SOURCE_CHANGED'));
  });

  it('may have been given other ends of lines by git', () => {
    expect(parseStartProfile('[main]\r\na\r\n')).toEqual(new Map([['main', new Set(['a'])]]));
  });

  it.each(PROGRAM_NAMES)('of the %s names functions it still has (else: npm run profile)', async (name) => {
    const profile = await readStartProfile(name);
    const { scripts } = await bundleProgram(PROGRAMS[name], { digest: '', parts: [] });
    expect([...profile.keys()].toSorted()).toEqual(SCRIPTS[name]);
    for (const [script, keys] of profile) {
      const there = new Set(functionsOf(wrapScript(scripts.get(script) ?? new Uint8Array()).toString('latin1')).map(({ key }) => key));
      const found = [...keys].filter((key) => there.has(key)).length;
      expect(found / keys.size, script).toBeGreaterThan(0.9);
    }
  });
});

describe('what starts a script', () => {
  it('is a few lines, which every thread compiles anew', async () => {
    expect((await bundleStarter('main', PROGRAMS.agent)).byteLength).toBeLessThan(8_192);
  });
});

describe.skipIf(missing !== undefined)(`a code cache${because}`, () => {
  const make = async (keys: readonly string[], flags: readonly string[] = []) => {
    const work = path.join(await tempFolder(), 'work');
    await mkdir(work);
    await writeFile(path.join(work, 'main.js'), SCRIPT);
    const node = await fetchNode(TARGETS['linux-x64']);
    const { files, compiled, listed } = await makeCodeCaches(['main'], {
      profile: new Map([['main', new Set(keys)]]),
      call: [node.executable, ...flags],
      work,
    });
    const cache = files.get('main') ?? '';
    return { node, cache, bytes: await readFile(cache), compiled, listed };
  };
  const all = functionsOf(SCRIPT).map(({ key }) => key);

  const isRefused = async (cache: string, node: string): Promise<string> => {
    const take = `new vm.Script(fs.readFileSync(process.argv[1], 'latin1'), { cachedData: fs.readFileSync(process.argv[2]) }).cachedDataRejected`;
    return (await runTool(node, ['-p', take, path.join(path.dirname(cache), 'main.js'), cache])).trim();
  };

  it('is taken by the engine, and is the same each time', async () => {
    const { node, cache, bytes, compiled, listed } = await make([...all, 'gone']);
    expect([compiled, listed]).toEqual([all.length, all.length + 1]);
    expect(await isRefused(cache, node.executable)).toBe('false');
    expect((await make(all)).bytes.equals(bytes)).toBe(true);
  });

  it('is refused where the engine has other flags than it was made with', async () => {
    const { node, cache } = await make(all, ['--expose-gc']);
    expect(await isRefused(cache, node.executable)).toBe('true');
  });

  it('holds what is asked for, with what is around it, and no more', async () => {
    const none = (await make([])).bytes.byteLength;
    const one = (await make(['~1 > unused'])).bytes.byteLength;
    const inside = (await make(['~1 > unused > ~1'])).bytes.byteLength;
    const everything = (await make(all)).bytes.byteLength;
    expect(one).toBeGreaterThan(none);
    expect(inside).toBeGreaterThan(one);
    expect(everything).toBeGreaterThan(inside);
  });
});

/** What the engine says was called while the script runs. */
async function callsIn(text: string): Promise<readonly CalledFunction[]> {
  const folder = await tempFolder();
  const script = path.join(folder, 'script.js');
  await writeFile(script, text);
  const run = `new vm.Script(fs.readFileSync('${script}', 'latin1'), { filename: 'script.js' }).runInThisContext()({})`;
  const { executable } = await fetchNode(TARGETS['linux-x64']);
  await runTool(executable, ['-e', run], { env: { NODE_V8_COVERAGE: path.join(folder, 'coverage') } });
  return (await readCalls(path.join(folder, 'coverage'))).get('script.js') ?? [];
}
