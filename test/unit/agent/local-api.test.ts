import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LocalApi } from '#agent/cli/local-api.js';
import { inferBody, protocolBody } from '#agent/cli/predict-exchange.js';
import { announce } from '#agent/running.js';
import { minutes } from '#shared/kernel/time.js';
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
  await expect(api.infer('/', inferBody({}, { timeout: 20_000 }))).rejects.toThrow(coded('AGENT_NO_ANSWER', /within 70ms/));
  silent.closeAllConnections();
  silent.close();
  await new Promise((resolve) => silent.once('close', resolve));
  await expect(api.status()).rejects.toThrow(coded('AGENT_NOT_RUNNING'));
});

test('a request says how long it may take: as the command line has it, else as it said before, else a minute', () => {
  const own = { inputs: [], parameters: { timeout: 5_000_000 } };
  expect(protocolBody(own, undefined).timeout).toBe(5_000);
  expect(protocolBody(own, 2_000).timeout).toBe(2_000);
  expect(protocolBody({ inputs: [] }, undefined).timeout).toBe(minutes(1));
  // No limit, as the protocol has it.
  expect(protocolBody({ inputs: [], parameters: { timeout: 0 } }, undefined).timeout).toBeUndefined();
});
