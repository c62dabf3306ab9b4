import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LocalApi } from '#agent/cli/local-api.js';
import { protocolRequest } from '#agent/cli/predict-request.js';
import { announce } from '#agent/running.js';
import { coded } from '../../kit/coded.js';

test('an agent that does not answer in time is told from one that does not run', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-api-'));
  const where = { http: `http://127.0.0.1:${port}`, socket: null };
  await announce(folder, { pid: process.pid, boot: 1, version: '0', startedAt: '', device: 'd', ...where });
  const api = await LocalApi.find(folder, { answer: 50, margin: 50 });
  await expect(api.status()).rejects.toThrow(coded('AGENT_NO_ANSWER', /within 50ms/));
  await expect(api.ask((client) => client.infer('m', {}, { timeout: 20 }))).rejects.toThrow(coded('AGENT_NO_ANSWER', /within 70ms/));
  silent.closeAllConnections();
  silent.close();
  await new Promise((resolve) => silent.once('close', resolve));
  await expect(api.status()).rejects.toThrow(coded('AGENT_NOT_RUNNING'));
});

test('a request of a file says how long it may take', () => {
  expect(protocolRequest({ inputs: [], parameters: { timeout: 5_000_000 } }, 'f').timeout).toBe(5_000);
  expect(protocolRequest({ inputs: [] }, 'f').timeout).toBeUndefined();
  // No limit, as the protocol has it.
  expect(protocolRequest({ inputs: [], parameters: { timeout: 0 } }, 'f').timeout).toBe(Number.POSITIVE_INFINITY);
});
