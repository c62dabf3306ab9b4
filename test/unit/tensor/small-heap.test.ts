import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

/** Runs a module in a process with a heap of 64 MiB: tensors lie outside of it. */
async function inSmallHeap(script: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['--max-old-space-size=64', '--input-type=module', '-e', script]);
  return stdout.trim();
}

test('7: half-precision outputs of tens of megabytes are compared without a number for each', async () => {
  const script = `
    import { allclose } from '#shared/tensor/compare.js';
    const of = () => ({ datatype: 'FP16', shape: [8_000_000], data: new Uint8Array(16_000_000) });
    const wrong = of();
    wrong.data[1] = 0x3c;
    const exact = { absolute: 0, relative: 0 };
    console.log(allclose(of(), of(), exact).agrees, allclose(of(), wrong, exact).worst);`;
  expect(await inSmallHeap(script)).toBe("true { index: 0, expected: '0', actual: '1' }");
}, 60_000);

test('7: a million strings go to the runtime and come back, and are compared, without an object for each', async () => {
  const script = `
    import { allclose } from '#shared/tensor/compare.js';
    import { unstack } from '#shared/tensor/rows.js';
    import { fromOrt, toOrt } from '#shared/tensor/ort.js';
    const tensor = { datatype: 'BYTES', shape: [1_000_000], data: new Uint8Array(8_000_000).fill(0) };
    for (let at = 0; at < tensor.data.length; at += 8) tensor.data.set([4, 0, 0, 0, 97, 98, 99, 100], at);
    const parts = toOrt(tensor, 'x');
    const back = fromOrt({ ...parts, type: 'string' }, 'x');
    const halves = unstack({ y: back }, [1, 999_999]);
    console.log(parts.data.length, allclose(tensor, back, { absolute: 0, relative: 0 }).agrees, halves[1].y.data.byteLength);`;
  expect(await inSmallHeap(script)).toBe('1000000 true 7999992');
}, 60_000);
