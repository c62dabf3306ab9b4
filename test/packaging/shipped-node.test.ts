import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { fetchNode } from '#packaging/build/node-runtime.js';
import { PROJECT_ROOT } from '#packaging/build/tools.js';
import { NODE_VERSION, TARGETS } from '#packaging/targets.js';
import { asSkerryError } from '#shared/kernel/errors.js';

/** Test files that put tensors into forms, through the runtime, or through the publisher's steps. */
const TENSOR_TESTS = [
  'test/unit/tensor',
  'test/unit/onnx',
  'test/property/tensor-codecs.test.ts',
  'test/unit/hub/publisher',
  'test/unit/inference/edges.test.ts',
];

it('everything that touches tensors passes on the Node.js that is shipped, FP16 among it', async ({ skip }) => {
  const target = Object.values(TARGETS).find(({ platform, arch }) => platform === process.platform && arch === process.arch);
  if (target === undefined) skip(`packages for ${process.platform}-${process.arch} are not built`);
  const runtime = await fetchNode(target ?? TARGETS['linux-x64']).catch((cause: unknown) => asSkerryError(cause));
  if (runtime instanceof Error) skip(`Node.js ${NODE_VERSION} cannot be had: ${runtime.message}`);
  if (runtime instanceof Error) return;
  const args = ['node_modules/vitest/vitest.mjs', 'run', ...TENSOR_TESTS, '--maxWorkers=1', '--reporter=dot'];
  const child = spawn(runtime.executable, args, {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  expect(said, said).toMatch(/Test Files +\d+ passed/);
  expect(code, said).toBe(0);
});
