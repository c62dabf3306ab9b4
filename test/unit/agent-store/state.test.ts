import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { VersionRecord } from '#agent/store/contract.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { bytesFrom, DEVICE, digestOfBytes, openStore } from '../../kit/agent-store.js';
import { coded } from '../../kit/coded.js';
import { tempFolder } from '../../kit/temp-folder.js';

const VAD = modelName('vad');

function record(version: number, changes: Partial<VersionRecord> = {}): VersionRecord {
  return {
    model: VAD,
    version: versionNumber(version),
    manifest: digestOfBytes(bytesFrom(`manifest ${version}`, 8)),
    install: 'good',
    boots: 0,
    attempt: 0,
    lastUsedAt: 1000 + version,
    ...changes,
  };
}

describe('state', () => {
  it('gives back after a restart what was put', async () => {
    const folder = await tempFolder();
    const first = await openStore(folder);
    await first.state.set('key', 'value');
    await first.state.putVersion(record(1));
    await first.state.putVersion(record(2, { install: 'bad', error: { code: 'X', message: 'why' }, boots: 2, attempt: 7 }));
    await first.state.commitSwitch({ model: VAD, serving: versionNumber(1), lastKnownGood: undefined }, [
      record(1, { install: 'probation' }),
    ]);
    await first.close();

    const second = await openStore(folder);
    expect(await second.state.get('key')).toBe('value');
    expect(await second.state.get('other')).toBeUndefined();
    expect(await second.state.versions()).toEqual([
      record(1, { install: 'probation' }),
      record(2, { install: 'bad', error: { code: 'X', message: 'why' }, boots: 2, attempt: 7 }),
    ]);
    expect(await second.state.serving()).toEqual([{ model: VAD, serving: 1, lastKnownGood: undefined }]);
    await second.state.deleteServing(VAD);
    await second.state.deleteVersion(VAD, versionNumber(1));
    expect(await second.state.serving()).toEqual([]);
    expect(await second.state.versions()).toHaveLength(1);
    await second.close();
  });

  it('is not opened by two', async () => {
    const folder = await tempFolder();
    const store = await openStore(folder);
    await expect(openStore(folder)).rejects.toThrow(coded('STORE_LOCKED'));
    await store.close();
  });

  it('refuses calls after close, and closes twice', async () => {
    const store = await openStore(await tempFolder());
    await Promise.all([store.close(), store.close()]);
    await expect(store.state.get('key')).rejects.toThrow(coded('CLOSED'));
  });

  it('refuses a database of a newer agent and leaves it alone', async () => {
    const folder = await tempFolder();
    await (await openStore(folder)).close();
    const db = new Database(path.join(folder, 'agent.db'));
    db.pragma('user_version = 999');
    db.close();
    await expect(openStore(folder)).rejects.toThrow(
      coded('STORE_NEWER', `agent ${SKERRY_VERSION} migrated it, use that release or a later one`),
    );
    expect((await readdir(folder)).some((name) => name.includes('damaged'))).toBe(false);
  });
});

describe('boots', () => {
  it('count every start, and do not start over when the database is gone', async () => {
    const folder = await tempFolder();
    for (const boot of [1, 2]) {
      const store = await openStore(folder);
      expect(store.boot).toBe(boot);
      await store.close();
    }
    await writeFile(path.join(folder, 'agent.db'), 'this is no database, whatever it was before'.repeat(200));
    const store = await openStore(folder);
    expect(store.boot).toBe(3);
    await store.close();
  });
});

describe('a damaged database', () => {
  it('is moved aside, said, and what can be read of it is carried over', async () => {
    const folder = await tempFolder();
    const first = await openStore(folder);
    await first.state.commitSwitch({ model: VAD, serving: versionNumber(1), lastKnownGood: undefined }, [record(1)]);
    for (let n = 0; n < 2000; n += 1) {
      await first.outbox.append('event', { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started' });
    }
    const last = await first.outbox.append('event', { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started' });
    await first.close();
    const file = path.join(folder, 'agent.db');
    const size = (await readFile(file)).byteLength;
    const handle = await open(file, 'r+');
    await handle.write(bytesFrom('damage', 4096), 0, 4096, Math.floor(size / 2 / 4096) * 4096);
    await handle.close();

    const second = await openStore(folder);
    expect(second.recovery?.error).toEqual(coded('STORE_CORRUPT'));
    expect(await readdir(folder)).toContain(path.basename(second.recovery?.movedTo ?? ''));
    expect(await second.state.serving()).toEqual([{ model: VAD, serving: 1, lastKnownGood: undefined }]);
    expect(await second.state.versions()).toEqual([record(1)]);
    const next = await second.outbox.append('event', { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started' });
    expect(next.boot).toBe(last.boot + 1);
    await second.close();
    expect((await openStore(folder)).recovery).toBeUndefined();
  });
});
