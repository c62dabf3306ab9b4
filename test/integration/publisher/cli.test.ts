import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
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
    expect(second.stderr).toMatch(/golden sample generated-3 recorded/);
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

describe('skerry inspect', () => {
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
      ['nothing.onnx', 'there is no file nothing.onnx'],
      ['package.json/x.onnx', 'there is no file package.json/x.onnx'],
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
