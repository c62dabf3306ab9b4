import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { withFolderLock } from '#hub/publisher/folder-lock.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { systemClock } from '#shared/kernel/clock.js';
import * as models from '../../kit/onnx-models.js';
import { publisherDesk } from '../../kit/publisher-cli.js';

const SILERO = 'node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx';

const desk = publisherDesk();
const { skerry, failing, file, keys } = desk;

async function model(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(file(name), bytes);
  return file(name);
}

async function publish(path: string, ...more: string[]): Promise<Record<string, unknown>> {
  const ran = await skerry('publish', path, '--name', 'affine', ...keys(), '--json', ...more);
  expect(ran.stderr).toBe('');
  return JSON.parse(ran.stdout) as Record<string, unknown>;
}

describe('skerry trust and publish, against a real hub', () => {
  it('says what is missing before there is a root of trust', async () => {
    expect(await failing('trust', 'show')).toMatchObject({ code: 'TRUST_ROOT_MISSING' });
    expect(await failing('publish', SILERO, '--name', 'vad', ...keys())).toMatchObject({ code: 'TRUST_KEY_FILE' });
  });

  it('makes the root of trust and the first publisher', async () => {
    const ran = await skerry('trust', 'init', ...keys(), '--role', 'alice', '--models', 'aff*', '--models', 'vad');
    expect([ran.code, ran.stderr]).toEqual([0, expect.stringContaining('The keys are in')]);
    expect(ran.stdout).toMatch(/root +1 +in 36[45] d .* 1 of 1/);
    expect(ran.stdout).toMatch(/alice +1 .* aff\*, vad +0/);
    expect(await readdir(file('keeper'))).not.toContain('outgoing.json');
    const sealed = await readFile(file('keeper/keys/root-1-1.key.json'), 'utf8');
    expect(JSON.parse(sealed)).toHaveProperty('sealed');
    expect(await failing('trust', 'init', ...keys())).toMatchObject({ code: 'TRUST_KEY_EXISTS' });
  });

  it('publishes a version, finds the same content again, gives new content the next number', async () => {
    const affine = await model('affine.onnx', models.affineModel());
    expect(await publish(affine, '--version', '1')).toMatchObject({ model: 'affine', version: 1, created: true });
    expect(await publish(affine)).toMatchObject({ version: 1, created: false, uploadedBytes: 0 });
    const again = await skerry('publish', affine, '--name', 'affine', ...keys());
    expect([again.code, again.stdout]).toEqual([0, 'already published as affine@1\n']);
    const scaled = await model('scaled.onnx', models.affineModel({ scale: 3 }));
    const second = await skerry('publish', scaled, '--name', 'affine', ...keys(), '--min-version', '2', '--batch', '8');
    expect([second.code, second.stdout]).toEqual([
      0,
      expect.stringMatching(/^published affine@2 \(.* uploaded\)\nmanifest sha256:[0-9a-f]{64}\n$/),
    ]);
    expect(second.stderr).toMatch(/3 golden samples recorded: generated-1, generated-2, generated-3/);
    const listed = (await (await desk.hub.fetch('viewer', '/api/v1/models/affine')).json()) as {
      versions: unknown[];
      minimumVersion: number;
    };
    expect(listed).toMatchObject({ minimumVersion: 2, versions: [{ version: 2, role: 'alice' }, { version: 1 }] });
  });

  it('refuses other content under a taken number, and a name the publisher may not use', async () => {
    const other = await model('other.onnx', models.affineModel({ scale: 4 }));
    expect(await failing('publish', other, '--name', 'affine', '--version', '1', ...keys())).toMatchObject({ code: 'VERSION_CONFLICT' });
    expect(await failing('publish', other, '--name', 'secret', ...keys())).toMatchObject({ code: 'TRUST_TARGET_FORBIDDEN' });
  });

  it('refuses a wrong passphrase and usage that makes no sense', async () => {
    await writeFile(file('wrong'), 'guess\n');
    const path = await model('affine5.onnx', models.affineModel({ scale: 5 }));
    const wrong = ['--keys', file('keeper'), '--passphrase-file', file('wrong')];
    expect(await failing('publish', path, '--name', 'affine', ...wrong)).toMatchObject({ code: 'TRUST_KEY_SECRET' });
    for (const bad of [
      ['--tolerance', 'x'],
      ['--output-tolerance', '0.1'],
      ['--output-tolerance', 'y=far'],
      ['--variant', 'int8'],
      ['--version', '0'],
      ['--dim', 'batch'],
      ['--name', 'UPPER'],
      ['--name', 'skerry-agent'],
      ['--provider', 'gpu'],
      ['--golden', 'nothing.json'],
      ['--variant', 'int8=nothing.onnx'],
    ]) {
      expect((await skerry('publish', path, '--name', 'affine', ...bad)).code).toBe(2);
    }
  });

  it('publishes a real model with given inputs, several variants and a tolerance', async () => {
    const golden = file('speech.json');
    await writeFile(
      golden,
      JSON.stringify({
        inputs: { input: { shape: [1, 512], random: [-0.3, 0.3] }, state: { shape: [2, 1, 128], fill: 0 }, sr: { data: [16000] } },
      }),
    );
    expect(await failing('publish', SILERO, '--name', 'vad', ...keys())).toMatchObject({
      code: 'GOLDEN_INPUTS_NEEDED',
      action: expect.stringContaining('--golden FILE') as string,
    });
    const options = [
      '--golden',
      golden,
      '--variant',
      `copy=${SILERO}`,
      '--tolerance',
      '0.01,0',
      '--output-tolerance',
      'output=0.02',
      '--description',
      'Silero VAD v5',
    ];
    const ran = await skerry('publish', SILERO, '--name', 'vad', ...options, ...keys());
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('published vad@1 (2.2 MiB uploaded')]);
    expect(ran.stderr).toMatch(/copy: agrees with the golden samples, largest error 0/);
    const version = (await (await desk.hub.fetch('viewer', '/api/v1/models/vad/versions/1')).json()) as { document: unknown };
    expect(version.document).toMatchObject({
      variants: [{ name: 'fp32', opset: 16 }, { name: 'copy' }],
      goldenSamples: [
        { name: 'speech', tolerance: { absolute: 0.01, relative: 0, outputs: [{ name: 'output', absolute: 0.02, relative: 0 }] } },
      ],
    });
  });

  it('lets in a second publisher, who has a folder of their own', async () => {
    const request = file('bob.request.json');
    expect((await skerry('trust', 'request', ...keys('bob'), '--role', 'bob', '--out', request)).code).toBe(0);
    const tables = await model('table.onnx', models.tableModel());
    expect(await failing('publish', tables, '--name', 'table', ...keys('bob'))).toMatchObject({ code: 'TRUST_ROLE_UNKNOWN' });
    const added = await skerry('trust', 'add-publisher', request, '--models', 'table', ...keys());
    expect([added.code, added.stdout]).toEqual([0, expect.stringMatching(/bob +1 .* table +0/)]);
    const ran = await skerry('publish', tables, '--name', 'table', ...keys('bob'), '--dim', 'n=2');
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('published table@1')]);
    const widened = await skerry('trust', 'add-publisher', request, '--models', 'tab*', ...keys());
    expect([widened.code, widened.stdout]).toEqual([0, expect.stringMatching(/bob +2 .* tab\* +1/)]);
    expect(await failing('publish', tables, '--name', 'affine', '--version', '9', ...keys('bob'))).toMatchObject({
      code: 'TRUST_TARGET_FORBIDDEN',
    });
  });

  it('takes back what the hub finds wrong, so that the keeper can go on', async () => {
    const request = file('mallory.request.json');
    await skerry('trust', 'request', ...keys('mallory'), '--role', 'mallory', '--out', request);
    const forged = JSON.parse(await readFile(request, 'utf8')) as object;
    await writeFile(request, JSON.stringify({ ...forged, publicKey: '0'.repeat(64) }));
    expect(await failing('trust', 'add-publisher', request, '--models', '*', ...keys())).toMatchObject({ code: 'TRUST_TARGETS_SIGNATURE' });
    // Another key under a name that has published already does not continue its file.
    await skerry('trust', 'request', ...keys('other-bob'), '--role', 'bob', '--out', request);
    expect(await failing('trust', 'add-publisher', request, '--models', 'table', ...keys())).toMatchObject({
      code: 'TRUST_TARGETS_VERSION',
    });
    expect(await readdir(file('keeper'))).not.toContain('outgoing.json');
    expect((await skerry('trust', 'resign', ...keys('keeper'))).code).toBe(0);
  });

  it('rotates the root and signs everything again; publishing goes on', async () => {
    const rotated = await skerry('trust', 'rotate-root', ...keys(), '--root-keys', '2', '--root-threshold', '2', '--targets');
    expect([rotated.code, rotated.stdout]).toEqual([0, expect.stringMatching(/root +3 .* 2 of 2/)]);
    const resigned = await skerry('trust', 'resign', ...keys(), '--json');
    const { roles } = JSON.parse(resigned.stdout) as { roles: { role: string; version: number }[] };
    expect(roles.find((role) => role.role === 'root')).toMatchObject({ version: 4 });
    const path = await model('affine6.onnx', models.affineModel({ scale: 6 }));
    expect(await publish(path)).toMatchObject({ version: 3, created: true });
  });

  it('delivers later what the hub could not take', async () => {
    expect((await desk.asViewer('trust', 'resign', ...keys())).code).toBe(1);
    expect(await readdir(file('keeper'))).toContain('outgoing.json');
    const resigned = await skerry('trust', 'resign', ...keys());
    expect(resigned.stderr).toMatch(/delivered what "trust resign" signed at .* and had not reached the hub/);
    expect(resigned.stdout).toMatch(/root +6 /);
  });
});

describe('17: skerry trust recover, and commands at the same moment', () => {
  it('two publishes of one version at the same moment: one publishes, the other finds it there; two of different content: the second is refused', async () => {
    const [one, two, three] = [
      await model('same-a.onnx', models.affineModel({ scale: 61 })),
      await model('same-b.onnx', models.affineModel({ scale: 61 })),
      await model('other-c.onnx', models.affineModel({ scale: 62 })),
    ];
    const run = (path: string): ReturnType<typeof skerry> => skerry('publish', path, '--name', 'affine', '--version', '61', ...keys());
    const same = await Promise.all([run(one), run(two)]);
    expect(same.map(({ code }) => code)).toEqual([0, 0]);
    expect(new Set(same.map(({ stdout }) => stdout.split(' ')[0]))).toEqual(new Set(['already', 'published']));
    expect(await failing('publish', three, '--name', 'affine', '--version', '61', ...keys())).toMatchObject({ code: 'VERSION_CONFLICT' });
    expect((await skerry('trust', 'resign', ...keys())).code).toBe(0);
  });

  it('shows what it would do, does it with --yes, and needs no passphrase', async () => {
    const folder = ['--keys', file('keeper')];
    await cp(file('keeper'), file('old-copy'), { recursive: true });
    const path = await model('affine63.onnx', models.affineModel({ scale: 63 }));
    expect((await skerry('publish', path, '--name', 'affine', ...keys())).code).toBe(0);
    expect((await skerry('trust', 'resign', ...keys())).code).toBe(0);
    expect((await skerry('trust', 'recover', ...folder)).stdout).toContain('folder and hub are in step');
    const old = ['--keys', file('old-copy')];
    const before = await readFile(file('old-copy/publisher.json'), 'utf8');
    const shown = await skerry('trust', 'recover', ...old);
    expect([shown.code, shown.stdout]).toEqual([
      0,
      expect.stringMatching(/root +\d+ +\d+ +the folder takes over version \d+ from the hub/),
    ]);
    expect(await readFile(file('old-copy/publisher.json'), 'utf8')).toBe(before);
    const done = await skerry('trust', 'recover', ...old, '--yes', '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({ applied: true, publishAgain: [] });
    expect((await skerry('trust', 'recover', ...old)).stdout).toContain('folder and hub are in step');
    expect((await skerry('trust', 'resign', ...keys('old-copy'))).code).toBe(0);
  });

  it('takes the right to publish from a publisher', async () => {
    const removed = await skerry('trust', 'remove-publisher', 'bob', ...keys('old-copy'));
    expect([removed.code, removed.stdout]).toEqual([0, expect.not.stringMatching(/^bob /m)]);
    expect(await failing('trust', 'remove-publisher', 'bob', ...keys('old-copy'))).toMatchObject({ code: 'TRUST_ROLE_UNKNOWN' });
  });

  it('waits for the process that holds the folder, and not for one that was killed', async () => {
    const script = `import { withFolderLock } from '#hub/publisher/folder-lock.js';
      import { PublisherFolder } from '#hub/publisher/trust-folder.js';
      import { systemClock } from '#shared/kernel/clock.js';
      const folder = new PublisherFolder(process.argv[1]);
      await withFolderLock({ folder, clock: systemClock, command: 'a test' }, async () => {
        process.stdout.write('held');
        await new Promise((resolve) => setInterval(resolve, 1_000_000));
      });`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script, file('old-copy')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const folder = new PublisherFolder(file('old-copy'));
    const soon = { folder, clock: systemClock, command: 'another', patience: 1 };
    await expect(withFolderLock(soon, () => Promise.resolve())).rejects.toMatchObject({
      code: 'TRUST_FOLDER_BUSY',
      message: expect.stringMatching(new RegExp(`by "a test" \\(process ${holder.pid} on .*, since 20`)) as string,
    });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await withFolderLock(soon, () => Promise.resolve('mine'))).toBe('mine');
  });
});

describe('publishing models as people have them', () => {
  it('names what leaves outputs out, notes it once, and what came in another shape (5, 9)', async () => {
    const path = await model('maps.onnx', models.wrappedMapsModel());
    expect(await failing('publish', path, '--name', 'aff-classifier', ...keys())).toMatchObject({
      code: 'OUTPUT_NOT_SERVABLE',
      message: expect.stringMatching(/zipmap=False.*--output scores/) as string,
    });
    const ran = await skerry('publish', path, '--name', 'aff-classifier', '--output', 'scores', ...keys());
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('published aff-classifier@1')]);
    expect(ran.stderr.match(/left out of the version: output maps/g)).toHaveLength(1);
    const odd = await skerry('publish', await model('odd.onnx', models.misdeclaredModel()), '--name', 'aff-odd', ...keys());
    expect(odd.stderr).toMatch(/output "y" is declared with FP32 \[-1,3,7\] and came as FP32 \[-1,4\], which is recorded/);
  });

  it('says in one line each what was recorded and uploaded, however many files there are (16)', async () => {
    const path = await model('many.onnx', models.affineModel({ scale: 7 }));
    const ran = await skerry('publish', path, '--name', 'aff-many', '--samples', '40', ...keys());
    expect(ran.stderr).toMatch(/40 golden samples recorded: generated-1, .*generated-8 and 32 more/);
    expect(ran.stderr).toMatch(/upload 41 files: done/);
    expect(ran.stderr.trimEnd().split('\n').length).toBeLessThan(12);
  });

  it('publishes a random model with --golden-shape-only, and says so where it is shown (16)', async () => {
    const path = await model('random.onnx', models.randomModel());
    expect(await failing('publish', path, '--name', 'aff-random', ...keys())).toMatchObject({
      code: 'GOLDEN_NOT_DETERMINISTIC',
      message: expect.stringContaining('--golden-shape-only') as string,
    });
    expect((await skerry('publish', path, '--name', 'aff-random', '--golden-shape-only', ...keys())).code).toBe(0);
  });
});

describe('skerry inspect', () => {
  it('shows outputs of any type, operators, metadata and which devices know the opset (5, 16)', async () => {
    const path = await model('classifier.onnx', models.classifierModel());
    const { stdout } = await skerry('inspect', path);
    expect(stdout).toMatch(/output +probabilities +FP32 +\[n, 3\]/);
    expect(stdout).toMatch(/ZipMap +ai\.onnx\.ml +1/);
    expect(stdout).toMatch(/opset 15, ai\.onnx\.ml 1/);
    expect(stdout).toMatch(/ONNX Runtime .* loaded it here/);
    const json = JSON.parse((await skerry('inspect', SILERO, '--json')).stdout) as { operators: { name: string }[] };
    expect(json.operators.map(({ name }) => name)).toContain('LSTM');
  });

  it('shows what a model takes and gives', async () => {
    const ran = await skerry('inspect', SILERO);
    expect(ran.stdout).toMatch(/opset 16/);
    expect(ran.stdout).toMatch(/input +state +FP32 +\[2, \?, 128\]/);
    const json = JSON.parse((await skerry('inspect', SILERO, '--json')).stdout) as unknown;
    expect(json).toMatchObject({
      opset: 16,
      inputs: [{ name: 'input', shape: [-1, -1] }, {}, { name: 'sr', datatype: 'INT64', shape: [] }],
    });
  });

  it('refuses what is no model', async () => {
    expect(await failing('inspect', 'package.json')).toMatchObject({ code: 'ONNX_INVALID' });
    for (const [path, says] of [
      ['nothing.onnx', 'file not found: nothing.onnx'],
      ['package.json/x.onnx', 'file not found: package.json/x.onnx'],
      ['test', 'test is a folder'],
    ] as const) {
      const ran = await skerry('inspect', path);
      expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining(says)]);
    }
  });

  it('teaches with --help', async () => {
    expect((await skerry('publish', '--help')).stdout).toMatch(/"fill": 0/);
  });
});
