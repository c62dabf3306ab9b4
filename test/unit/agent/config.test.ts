import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AGENT_SETTINGS, dataFolder, loadAgentConfig, readAuthorities, settingEntries } from '#agent/config.js';
import { socketPath } from '#agent/assembly/serve-config.js';
import { announce, findRunning, type RunningAgent, whereFound, withdraw } from '#agent/running.js';
import { tempFolder } from '../../kit/temp-folder.js';

/** Framed as a certificate; what is inside is for TLS to judge. */
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

const load = (flags: Record<string, string>, env: Record<string, string> = {}, configFile?: string) =>
  loadAgentConfig({ flags, env, configFile });

describe('settings', () => {
  it('are complete without any, in milliseconds and bytes', async () => {
    const data = await tempFolder();
    expect(await load({ data })).toEqual({
      data,
      httpHost: '127.0.0.1',
      httpPort: 7490,
      socket: 'agent.sock',
      grpcHost: '127.0.0.1',
      grpcStreams: 256,
      bodyLimit: 64 * 1024 ** 2,
      bodyMemory: 1024 ** 3,
      maxConnections: 1024,
      maxRequests: 1024,
      requestTimeout: 30_000,
      idleTimeout: 120_000,
      sharedMemory: 'off',
      accessLog: 'none',
      metricsPort: 'none',
      tritonMetrics: 'off',
      traceRatio: 1,
      traceService: 'skerry-agent',
      instances: 1,
      jsonElements: 4 * 1024 ** 2,
      isolation: 'auto',
      modelMemory: 'none',
      idleUnload: 'never',
      predictionLimit: 120_000,
      loadLimit: 600_000,
      threads: 1,
      bake: 60_000,
      maxBoots: 3,
      updateBake: 120_000,
      updateAlive: 120_000,
      diskBudget: 4 * 1024 ** 3,
      diskReserve: 16 * 1024 ** 2,
      outboxRecords: 10_000,
      outboxBytes: 32 * 1024 ** 2,
      window: 60_000,
      keepalive: 45_000,
      reconnectMax: 60_000,
      logLevel: 'info',
    });
  });

  it('take the flag before the environment before the file before the default', async () => {
    const data = await tempFolder();
    await writeFile(join(data, 'agent.yaml'), 'bake: 1m30s\nwindow: 7s\ninstances: 4\ndisk-budget: 512M\n');
    const config = await load({ data, bake: '5s' }, { SKERRY_AGENT_BAKE: '6s', SKERRY_AGENT_WINDOW: '8s' });
    expect(config).toMatchObject({ bake: 5_000, window: 8_000, instances: 4, diskBudget: 512 * 1024 ** 2, maxBoots: 3 });
  });

  it('read a JSON file too', async () => {
    const data = await tempFolder();
    const file = join(data, 'settings.json');
    await writeFile(file, JSON.stringify({ 'log-level': 'warn', 'http-port': 0 }));
    expect(await load({ data }, {}, file)).toMatchObject({ logLevel: 'warn', httpPort: 0 });
  });

  it('name every bad one with where it came from', async () => {
    const data = await tempFolder();
    await writeFile(join(data, 'agent.yaml'), 'window: soon\n');
    const bad = load({ data, httpPort: '70000' }, { SKERRY_AGENT_BAKE: '-1', SKERRY_AGENT_DISK_BUDGET: 'lots' });
    await expect(bad).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(bad).rejects.toThrow(/--http-port.*SKERRY_AGENT_BAKE.*SKERRY_AGENT_DISK_BUDGET.*"window" in the settings file/s);
  });

  it('refuse a file with settings nobody knows, one that is not there, and one that is no table', async () => {
    const data = await tempFolder();
    const file = join(data, 'agent.yaml');
    await writeFile(file, 'bakes: 5s\n');
    await expect(load({ data })).rejects.toThrow(/unknown settings: bakes/);
    await writeFile(file, '- a\n');
    await expect(load({ data })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(load({ data }, {}, join(data, 'missing.yaml'))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('have a flag, a variable and a sentence each, all different', () => {
    const entries = settingEntries().map(([, entry]) => entry);
    expect(entries.length).toBe(Object.keys(AGENT_SETTINGS).length);
    for (const key of ['flag', 'env', 'doc'] as const) expect(new Set(entries.map((entry) => entry[key])).size).toBe(entries.length);
  });

  it('find the data folder by flag, variable and XDG', () => {
    expect(dataFolder({ flags: { data: '/a' }, env: { SKERRY_AGENT_DATA: '/b' } })).toBe('/a');
    expect(dataFolder({ flags: {}, env: { SKERRY_AGENT_DATA: '/b' } })).toBe('/b');
    expect(dataFolder({ flags: {}, env: { XDG_DATA_HOME: '/c' } })).toBe('/c/skerry/agent');
    expect(dataFolder({ flags: {}, env: { HOME: '/d' } })).toBe('/d/.local/share/skerry/agent');
  });

  it('give no socket where its path would be too long', () => {
    expect(socketPath({ data: '/data', socket: 'agent.sock' })).toBe('/data/agent.sock');
    expect(socketPath({ data: '/data', socket: 'none' })).toBeUndefined();
    expect(socketPath({ data: `/${'x'.repeat(120)}`, socket: 'agent.sock' })).toBeUndefined();
  });
});

describe('agent.json', () => {
  const running: RunningAgent = {
    pid: process.pid,
    boot: 2,
    version: '0.1.0',
    startedAt: '2026-01-01T00:00:00.000Z',
    device: 'lab-1',
    http: 'http://127.0.0.1:1',
    socket: null,
  };

  it('is found while its process lives, and no longer', async () => {
    const data = await tempFolder();
    expect(await findRunning(data)).toBeUndefined();
    await announce(data, running);
    expect(await findRunning(data)).toEqual(running);
    await announce(data, { ...running, pid: 2 ** 22 + 1 });
    expect(await findRunning(data)).toBeUndefined();
    await withdraw(data);
    await withdraw(data);
    expect(await findRunning(data)).toBeUndefined();
  });

  it('says where the local API is, with brackets around an IPv6 address', () => {
    expect(whereFound({ tcp: { host: '::1', port: 7490 }, unix: undefined })).toEqual({ http: 'http://[::1]:7490', socket: null });
    expect(whereFound({ tcp: { host: '127.0.0.1', port: 80 }, unix: '/data/agent.sock' })).toEqual({
      http: 'http://127.0.0.1:80',
      socket: '/data/agent.sock',
    });
    expect(whereFound({ tcp: undefined, unix: '/data/agent.sock' })).toEqual({ http: null, socket: '/data/agent.sock' });
  });
});

describe('the certificates of --ca-file', () => {
  it.each(['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE'])('are read where there are some (%s)', async (kind) => {
    const path = join(await tempFolder(), 'ca.pem');
    const text = PEM.replaceAll('CERTIFICATE', kind);
    await writeFile(path, `# ours\n${text}`);
    expect(await readAuthorities(path)).toContain(text);
  });

  it('are refused by name where the file is not there or holds none', async () => {
    const path = join(await tempFolder(), 'ca.pem');
    await expect(readAuthorities(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(readAuthorities(path)).rejects.toThrow(`${path} (--ca-file) could not be read`);
    await writeFile(path, 'not PEM');
    await expect(readAuthorities(path)).rejects.toThrow(`${path} (--ca-file) holds no certificate`);
  });
});
