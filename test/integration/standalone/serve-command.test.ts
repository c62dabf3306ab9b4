import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '#agent/cli/program.js';
import { curlLine } from '#agent/cli/curl-line.js';
import { noneServes } from '#agent/cli/serve-report.js';
import { complete } from '#shared/terminal/completion.js';
import { modelFolder } from '../../kit/model-folder.js';
import { affineModel } from '../../kit/onnx-models.js';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '../../../dist/agent/main.js');

describe('skerry-agent serve', () => {
  test('one file: what is served, a line that works, and an end in order', async () => {
    const root = await modelFolder({ 'Scale It.onnx': affineModel({ scale: 3, bias: 1 }) });
    const args = [MAIN, 'serve', join(root, 'Scale It.onnx'), '--http-port', '0', '--data', join(root, 'data'), '--json'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const first: readonly unknown[] = await Promise.race([once(createInterface(child.stdout), 'line'), ended]);
    const said: unknown = JSON.parse(String(first[0]));
    expect(said).toMatchObject({ signed: false, control: 'none', models: [{ name: 'Scale It', version: 1, state: 'READY' }] });
    const { stdout } = await run('sh', ['-c', String(Reflect.get(Object(said), 'curl'))]);
    expect(JSON.parse(stdout)).toMatchObject({ model_name: 'Scale It', outputs: [{ name: 'y', data: [4, 4, 4, 4] }] });
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  test('large inputs are zeros as binary data', () => {
    const line = curlLine('http://h:1', { name: 'm', inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 100] }] });
    expect(line).toContain('head -c 400 /dev/zero');
    expect(line).toContain('Inference-Header-Content-Length: 97');
  });

  test('no model at all is an error that says why', () => {
    const entry = { name: 'm', state: 'UNAVAILABLE', reason: 'it is too large' } as const;
    expect(noneServes([entry])).toMatchObject({ code: 'STANDALONE_NOTHING', message: 'no model could be loaded: it is too large' });
    expect(noneServes([entry, { name: 'n', state: 'READY' }])).toBeUndefined();
  });

  test('is completed', async () => {
    expect(await complete(buildProgram(), ['serve', '--control', ''])).toEqual(['explicit', 'none', 'poll']);
    expect(await complete(buildProgram(), ['serve', '--re'])).toContain('--repository');
  });
});
