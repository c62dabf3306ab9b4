import { describe, expect, it } from 'vitest';
import { generateSigningKey } from '#shared/trust/keys.js';
import type { JsonObject } from '#shared/trust/metadata.js';
import { ConformingDevice, FUTURE, keysOf, modelPath, PAST, target, TufFiles } from '../../kit/tuf-files.js';

// The client workflow of the TUF specification (1.0.31, 5.3 to 5.6), clause by clause, run through the device's own client.

interface Standing {
  readonly tuf: TufFiles;
  /** A device that has taken up what the files were at first. */
  readonly device: ConformingDevice;
}

async function standing(): Promise<Standing> {
  const tuf = new TufFiles();
  const device = await ConformingDevice.pin(tuf);
  expect(await device.refresh(tuf)).toBe('ok');
  expect(await device.client.versions()).toEqual({ root: 1, timestamp: 1, snapshot: 1 });
  return { tuf, device };
}

type Versions = { root: number; timestamp: number; snapshot: number };
/** Clause, what is done to the files, the code it ends with, and the versions the device holds then, also after a restart. */
type Row = readonly [string, (tuf: TufFiles) => void, string, Versions];

const at = (root: number, timestamp: number, snapshot: number): Versions => ({ root, timestamp, snapshot });
const twice = (made: JsonObject[]): JsonObject[] => [...made, ...made];
const none = (): unknown[] => [];

const ROWS: readonly Row[] = [
  ['5.3.2 no newer root is there', (tuf) => tuf.publish(), 'ok', at(1, 2, 2)],
  ['5.3.3 and 5.3.9 roots are followed one by one', (tuf) => tuf.write('root').write('root').publish(), 'ok', at(3, 2, 2)],
  [
    '5.3.4 a root that the old keys did not sign',
    (tuf) => {
      tuf.draft('root').signers = tuf.rotate('root');
      tuf.write('root').publish();
    },
    'TRUST_ROOT_SIGNATURE',
    at(1, 1, 1),
  ],
  [
    '5.3.4 a root that its own keys did not sign',
    (tuf) => {
      const old = [...tuf.draft('root').signers];
      tuf.rotate('root');
      tuf.draft('root').signers = old;
      tuf.write('root').publish();
    },
    'TRUST_ROOT_SIGNATURE',
    at(1, 1, 1),
  ],
  [
    '5.3.4 a threshold that is not reached',
    (tuf) => {
      const [first] = tuf.rotate('root', 2, 2);
      tuf.write('root');
      tuf.draft('root').signers = first === undefined ? [] : [first];
      tuf.write('root').publish();
    },
    'TRUST_ROOT_SIGNATURE',
    at(2, 1, 1),
  ],
  [
    '5.3.4 one signature twice counts once',
    (tuf) => {
      const [first] = tuf.rotate('root', 2, 2);
      tuf.write('root');
      tuf.draft('root').signers = first === undefined ? [] : [first];
      tuf.write('root', { signatures: twice }).publish();
    },
    'TRUST_ROOT_SIGNATURE',
    at(2, 1, 1),
  ],
  [
    '5.3.4 one key under two ids counts once',
    (tuf) => {
      const key = generateSigningKey();
      const [entry] = Object.values(keysOf([key]));
      Object.assign(tuf.root.keys, { one: entry, two: entry });
      tuf.root.roles['timestamp'] = { keyids: ['one', 'two'], threshold: 2 };
      tuf.draft('timestamp').signers = [key];
      const both = (made: JsonObject[]): unknown[] => ['one', 'two'].map((keyid) => ({ ...made[0], keyid }));
      tuf.write('root').publish({ timestamp: { signatures: both } });
    },
    'TRUST_TIMESTAMP_SIGNATURE',
    at(2, 0, 0),
  ],
  [
    '5.3.5 a root of the version before',
    (tuf) => {
      tuf.files.set('2.root.json', tuf.files.get('1.root.json') ?? new Uint8Array());
    },
    'TRUST_ROOT_VERSION',
    at(1, 1, 1),
  ],
  [
    '5.3.5 a root that leaves a version out',
    (tuf) => {
      tuf.write('root', { version: 3 });
      tuf.files.set('2.root.json', tuf.files.get('3.root.json') ?? new Uint8Array());
    },
    'TRUST_ROOT_VERSION',
    at(1, 1, 1),
  ],
  [
    '5.3.8 (X) a verified root is kept when the next one is not good',
    (tuf) => tuf.write('root').write('root', { signatures: none }).publish(),
    'TRUST_ROOT_SIGNATURE',
    at(2, 1, 1),
  ],
  [
    '5.3.8 (X) a verified root is kept when the timestamp is not good',
    (tuf) => tuf.write('root').publish({ timestamp: { signatures: none } }),
    'TRUST_TIMESTAMP_SIGNATURE',
    at(2, 1, 1),
  ],
  [
    '5.3.10 an expired root in between is followed',
    (tuf) => tuf.write('root', { expires: PAST }).write('root').publish(),
    'ok',
    at(3, 2, 2),
  ],
  [
    '5.3.10 an expired last root ends the update, and is kept (5.3.8)',
    (tuf) => tuf.write('root', { expires: PAST }).publish(),
    'TRUST_METADATA_EXPIRED',
    at(2, 1, 1),
  ],
  [
    '5.3.11 new timestamp keys: the versions of the old ones block nothing',
    (tuf) => {
      tuf.rotate('timestamp');
      tuf.write('root').publish({ timestamp: { version: 1 } });
    },
    'ok',
    at(2, 1, 2),
  ],
  [
    '5.3.11 new snapshot keys: a snapshot may count from 1 again',
    (tuf) => {
      tuf.rotate('snapshot');
      tuf.write('root').publish({ snapshot: { version: 1 } });
    },
    'ok',
    at(2, 2, 1),
  ],
  ['5.4.1 the timestamp is held back', (tuf) => void tuf.files.delete('timestamp.json'), 'TRUST_TIMESTAMP_MISSING', at(1, 1, 1)],
  [
    "5.4.2 a timestamp that the root's key did not sign",
    (tuf) => {
      tuf.draft('timestamp').signers = [generateSigningKey()];
      tuf.publish();
    },
    'TRUST_TIMESTAMP_SIGNATURE',
    at(1, 1, 1),
  ],
  ['5.4.3 the same version again is the one that is there', (tuf) => tuf.publish({ timestamp: { version: 1 } }), 'ok', at(1, 1, 1)],
  ['5.4.4 an expired timestamp is not kept', (tuf) => tuf.publish({ timestamp: { expires: PAST } }), 'TRUST_METADATA_EXPIRED', at(1, 1, 1)],
  [
    '5.4.5 (X) a verified timestamp is kept when the snapshot is damaged',
    (tuf) => {
      tuf.publish();
      tuf.files.set('2.snapshot.json', Buffer.from('{}'));
    },
    'TRUST_SNAPSHOT_HASH',
    at(1, 2, 1),
  ],
  ['5.5.1 the snapshot is held back', (tuf) => void tuf.publish().files.delete('2.snapshot.json'), 'TRUST_SNAPSHOT_MISSING', at(1, 2, 1)],
  [
    '5.5.2 a snapshot of another hash',
    (tuf) => {
      tuf.publish();
      tuf.files.set('2.snapshot.json', tuf.files.get('1.snapshot.json') ?? new Uint8Array());
    },
    'TRUST_SNAPSHOT_HASH',
    at(1, 2, 1),
  ],
  [
    "5.5.3 a snapshot that the root's key did not sign",
    (tuf) => tuf.publish({ snapshot: { signatures: none } }),
    'TRUST_SNAPSHOT_SIGNATURE',
    at(1, 2, 1),
  ],
  [
    '5.5.4 a snapshot of another version than the timestamp names',
    (tuf) => {
      tuf.publish({ timestamp: { change: (signed) => named(signed, (meta) => ({ ...meta, version: 7 })) } });
      tuf.files.set('7.snapshot.json', tuf.files.get('2.snapshot.json') ?? new Uint8Array());
    },
    'TRUST_SNAPSHOT_ROLLBACK',
    at(1, 2, 1),
  ],
  [
    '5.5.5 a snapshot that no longer lists a file',
    (tuf) => tuf.publish({ snapshot: { change: (signed) => listed(signed, ({ 'bob.json': _bob, ...rest }) => rest) } }),
    'TRUST_SNAPSHOT_ROLLBACK',
    at(1, 2, 1),
  ],
  ['5.5.6 an expired snapshot is not kept', (tuf) => tuf.publish({ snapshot: { expires: PAST } }), 'TRUST_METADATA_EXPIRED', at(1, 2, 1)],
  [
    '5.5.7 (X) a verified snapshot is kept when the targets are damaged',
    (tuf) => {
      tuf.write('targets').publish();
      tuf.files.set('2.targets.json', Buffer.from('{}'));
    },
    'TRUST_TARGETS_HASH',
    at(1, 2, 2),
  ],
  [
    '5.6.1 the targets are held back',
    (tuf) => void tuf.write('targets').publish().files.delete('2.targets.json'),
    'TRUST_TARGETS_MISSING',
    at(1, 2, 2),
  ],
  [
    "5.6.3 targets that the root's key did not sign",
    (tuf) => tuf.write('targets', { signatures: none }).publish(),
    'TRUST_TARGETS_SIGNATURE',
    at(1, 2, 2),
  ],
  ['5.6.5 expired targets', (tuf) => tuf.write('targets', { expires: PAST }).publish(), 'TRUST_METADATA_EXPIRED', at(1, 2, 2)],
  // What no release knows yet must not strand a device (Z).
  [
    '(Z) a root with fields that are not known, in itself, its keys, its roles and beside',
    (tuf) => {
      for (const key of Object.values(tuf.root.keys)) Object.assign(key, { note: 'kept', 'x-since': 7 });
      for (const role of Object.values(tuf.root.roles)) Object.assign(role, { 'x-quorum': { of: ['a', 'b'] } });
      Object.assign(tuf.root, { 'x-next': [1, { deep: null }], __proto__x: true });
      tuf.write('root').write('root').publish();
    },
    'ok',
    at(3, 2, 2),
  ],
  [
    '(Z) a root with keys of other types, schemes and shapes',
    (tuf) => {
      Object.assign(tuf.root.keys, {
        post: { keytype: 'ml-dsa-65', scheme: 'ml-dsa-65', keyval: { public: 'AAAA' } },
        ec: { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: '-----BEGIN PUBLIC KEY-----\n' } },
        shape: { keytype: 'x509', scheme: 'chain', keyval: { chain: ['a', 'b'], at: { deep: 1 } } },
        text: 'not even an object',
        odd: { keytype: 'ed25519', scheme: 'ed25519ph', keyval: { public: '00'.repeat(32) } },
      });
      for (const role of Object.values(tuf.root.roles)) role.keyids.push('post', 'ec', 'shape', 'text', 'odd', 'not-listed');
      tuf.write('root').write('root').publish();
    },
    'ok',
    at(3, 2, 2),
  ],
  [
    '(Z) keys that cannot be used do not count, the threshold decides',
    (tuf) => {
      Object.assign(tuf.root.keys, { shape: { keytype: 'x509', scheme: 'chain', keyval: { chain: ['a'] } } });
      tuf.root.roles['timestamp']?.keyids.push('shape');
      Object.assign(tuf.root.roles['timestamp'] ?? {}, { threshold: 2 });
      tuf.write('root').publish({ timestamp: { signatures: (made) => [...made, { keyid: 'shape', sig: '00'.repeat(64) }] } });
    },
    'TRUST_TIMESTAMP_SIGNATURE',
    at(2, 0, 0),
  ],
  [
    '(Z) malformed signatures beside good ones, in root and timestamp',
    (tuf) => {
      const odd = (made: JsonObject[]): unknown[] => [
        null,
        'text',
        { keyid: made[0]?.['keyid'], sig: 'zz' },
        { keyid: 7, sig: {} },
        { sig: '00' },
        { keyid: 'constructor', sig: '00'.repeat(64) },
        { keyid: made[0]?.['keyid'], sig: '00'.repeat(64) },
        ...made.map((signature) => ({ ...signature, method: 'new', at: 7 })),
      ];
      tuf
        .write('root', { signatures: odd })
        .write('root')
        .publish({ timestamp: { signatures: odd } });
    },
    'ok',
    at(3, 2, 2),
  ],
  [
    '(Z) a root with roles of other names',
    (tuf) => {
      Object.assign(tuf.root.roles, { mirrors: { keyids: [], threshold: 1 }, auditor: 'of another shape' });
      tuf.write('root').write('root').publish();
    },
    'ok',
    at(3, 2, 2),
  ],
  [
    '(Z) unknown fields in timestamp, snapshot, targets and delegations',
    (tuf) => {
      const more = (signed: JsonObject): JsonObject => ({ ...signed, 'x-more': { a: [1] } });
      tuf.write('targets', { change: (signed) => withDelegations(more(signed)) }).write('acme', { change: more });
      tuf.publish({ snapshot: { change: more }, timestamp: { change: more } });
    },
    'ok',
    at(1, 2, 2),
  ],
  [
    '(Z) a root whose key ids are no hashes',
    (tuf) => {
      const key = generateSigningKey();
      Object.assign(tuf.root.keys, { 'the-new-one': Object.values(keysOf([key]))[0] });
      tuf.root.roles['timestamp'] = { keyids: ['the-new-one'], threshold: 1 };
      tuf.draft('timestamp').signers = [key];
      tuf.write('root').publish({ timestamp: { signatures: (made) => [{ ...made[0], keyid: 'the-new-one' }] } });
    },
    'ok',
    at(2, 2, 2),
  ],
];

function named(signed: JsonObject, change: (meta: JsonObject) => JsonObject): JsonObject {
  const { 'snapshot.json': meta } = signed['meta'] as { 'snapshot.json': JsonObject };
  return { ...signed, meta: { 'snapshot.json': change(meta) } };
}

function listed(signed: JsonObject, change: (meta: JsonObject) => JsonObject): JsonObject {
  return { ...signed, meta: change(signed['meta'] as JsonObject) };
}

function withDelegations(signed: JsonObject): JsonObject {
  const delegations = structuredClone(signed['delegations']) as { keys: Record<string, JsonObject>; roles: JsonObject[] };
  for (const key of Object.values(delegations.keys)) key['x-note'] = 1;
  for (const role of delegations.roles) role['x-note'] = ['a'];
  Object.assign(delegations.keys, { other: { keytype: 'ml-dsa-65', scheme: 'ml-dsa-65', keyval: { public: 'AA' } } });
  return { ...signed, delegations: { ...delegations, 'x-more': 1 } };
}

describe('TUF client workflow, top-level roles (5.3 to 5.6)', () => {
  it.each(ROWS)('%s', async (_clause, change, code, versions) => {
    const { tuf, device } = await standing();
    change(tuf);
    expect(await device.refresh(tuf)).toBe(code);
    expect(await device.client.versions()).toEqual(versions);
    expect(await device.again().client.versions()).toEqual(versions);
  });

  it('5.3.3 at most 256 roots are followed in one update', async () => {
    const { tuf, device } = await standing();
    for (let version = 2; version <= 260; version += 1) tuf.write('root');
    expect(await device.refresh(tuf)).toBe('ok');
    expect(await device.client.versions()).toMatchObject({ root: 257 });
    expect(await device.refresh(tuf)).toBe('ok');
    expect(await device.client.versions()).toMatchObject({ root: 260 });
  });

  it('5.4.3.2 a timestamp that names an older snapshot', async () => {
    const { tuf, device } = await standing();
    const old = tuf.metaOf('snapshot');
    expect(await device.refresh(tuf.publish())).toBe('ok');
    tuf.write('timestamp', { change: (signed) => named(signed, () => old) });
    expect(await device.refresh(tuf)).toBe('TRUST_TIMESTAMP_ROLLBACK');
    expect(await device.again().client.versions()).toEqual(at(1, 2, 2));
  });

  it('5.5.5 a snapshot that takes a file back to an older version', async () => {
    const { tuf, device } = await standing();
    const first = tuf.newest.get('acme') ?? new Uint8Array();
    expect(await device.refresh(tuf.write('acme').publish())).toBe('ok');
    tuf.newest.set('acme', first);
    expect(await device.refresh(tuf.publish())).toBe('TRUST_SNAPSHOT_ROLLBACK');
    expect(await device.client.versions()).toEqual(at(1, 3, 2));
  });

  it('5.4.3.1 (X) a timestamp seen in a set that failed cannot be taken back', async () => {
    const { tuf, device } = await standing();
    const second = new Map(tuf.publish().files);
    tuf.publish();
    expect(await device.refresh(tuf, '3.snapshot.json')).toBe('TRUST_SNAPSHOT_MISSING');
    expect(await device.again().refresh(second)).toBe('TRUST_TIMESTAMP_ROLLBACK');
    expect(await device.again().refresh(tuf)).toBe('ok');
  });

  it('5.3.8 (X) a key that root 2 revokes in a damaged set stays revoked when root 2 is withheld', async () => {
    const { tuf, device } = await standing();
    const stolen = [...tuf.draft('timestamp').signers];
    tuf.rotate('timestamp');
    tuf.write('root').publish();
    tuf.files.set('2.snapshot.json', Buffer.from('{}'));
    expect(await device.refresh(tuf)).toBe('TRUST_SNAPSHOT_HASH');
    tuf.draft('timestamp').signers = stolen;
    tuf.publish({ timestamp: { version: 99 } });
    expect(await device.again().refresh(tuf, '2.root.json')).toBe('TRUST_TIMESTAMP_SIGNATURE');
  });

  it('5.6.6 (X) what was verified of the targets answers look-ups after a later failure', async () => {
    const { tuf, device } = await standing();
    tuf.draft('acme').signed['targets'] = { [modelPath('acme', 1)]: target('acme'), [modelPath('acme', 2)]: target('two') };
    tuf.write('acme').publish();
    tuf.write('root', { signatures: none });
    expect(await device.refresh(tuf)).toBe('TRUST_ROOT_SIGNATURE');
    expect(await device.again().client.target(modelPath('acme', 1))).toMatchObject({ length: 4 });
    expect(await device.again().client.target(modelPath('acme', 2))).toBeUndefined();
  });

  it('a root that revokes the targets key ends what that key signed at once, until the next targets come', async () => {
    const { tuf, device } = await standing();
    tuf.rotate('targets');
    tuf.write('root').publish();
    expect(await device.refresh(tuf)).toBe('TRUST_TARGETS_SIGNATURE');
    expect(await device.again().client.target(modelPath('acme', 1))).toBeUndefined();
    expect(await device.refresh(tuf.write('targets').publish())).toBe('ok');
    expect(await device.again().client.target(modelPath('acme', 1))).toMatchObject({ length: 4 });
  });

  it('both verifiers read a root with keys of another shape, and what is signed under it, over many refreshes', async () => {
    const { tuf, device } = await standing();
    Object.assign(tuf.root.keys, { shape: { keytype: ['list'], scheme: 7, keyval: null } });
    expect(await device.refresh(tuf.write('root').publish())).toBe('ok');
    expect(await device.refresh(tuf.write('acme').publish())).toBe('ok');
    expect(await device.again().refresh(tuf.write('root').publish())).toBe('ok');
    delete tuf.root.keys['shape'];
    expect(await device.again().refresh(tuf.write('root').publish())).toBe('ok');
    expect(await device.again().client.versions()).toEqual(at(4, 5, 5));
  });
});

describe('TUF client workflow, delegated roles (5.6.2 to 5.6.7)', () => {
  type RoleRow = readonly [string, (tuf: TufFiles) => void, string];
  const roleRows: readonly RoleRow[] = [
    ['5.6.1 held back', (tuf) => void tuf.write('acme').publish().files.delete('2.acme.json'), 'TRUST_TARGETS_MISSING'],
    ['5.6.2 of another hash', (tuf) => void tuf.write('acme').publish().files.set('2.acme.json', Buffer.from('{}')), 'TRUST_TARGETS_HASH'],
    ['5.6.3 not signed by the delegated key', (tuf) => tuf.write('acme', { signatures: none }).publish(), 'TRUST_TARGETS_SIGNATURE'],
    [
      '5.6.4 of another version',
      (tuf) => {
        tuf.write('acme');
        tuf.publish({
          snapshot: { change: (signed) => listed(signed, (meta) => ({ ...meta, 'acme.json': { ...tuf.metaOf('acme'), version: 3 } })) },
        });
        tuf.files.set('3.acme.json', tuf.files.get('2.acme.json') ?? new Uint8Array());
      },
      'TRUST_TARGETS_ROLLBACK',
    ],
    ['5.6.5 (Y) lapsed', (tuf) => tuf.write('acme', { expires: PAST }).publish(), 'TRUST_METADATA_EXPIRED'],
    [
      'delegating further',
      (tuf) =>
        tuf.write('acme', { change: (signed) => ({ ...signed, delegations: tuf.draft('targets').signed['delegations'] ?? {} }) }).publish(),
      'TRUST_TARGETS_FORMAT',
    ],
  ];
  it.each(roleRows)('a publisher file that is %s holds up nobody else', async (_clause, change, code) => {
    const { tuf, device } = await standing();
    tuf.draft('bob').signed['targets'] = { [modelPath('bob', 1)]: target('bob'), [modelPath('bob', 2)]: target('again') };
    tuf.write('bob', 'root');
    change(tuf);
    expect(await device.refresh(tuf)).toBe('ok');
    expect(await device.client.versions()).toEqual(at(2, 2, 2));
    expect(await device.client.target(modelPath('bob', 2))).toMatchObject({ length: 5 });
    expect(await device.client.unavailable()).toMatchObject([{ role: 'acme', error: { code } }]);
    await expect(device.client.target(modelPath('acme', 1))).rejects.toMatchObject({ code });
    // Offline, what was accepted before goes on answering.
    expect(await device.again().client.target(modelPath('acme', 1))).toMatchObject({ length: 4 });
    tuf.write('acme').publish();
    expect(await device.refresh(tuf)).toBe('ok');
    expect(await device.client.unavailable()).toEqual([]);
    expect(await device.client.target(modelPath('acme', 1))).toMatchObject({ length: 4 });
  });

  /** Patterns of acme and bob, most trusted first. */
  function delegate(tuf: TufFiles, acme: readonly string[], bob: readonly string[], terminating = false): void {
    const { roles } = tuf.draft('targets').signed['delegations'] as { roles: JsonObject[] };
    const [first, second] = roles;
    Object.assign(first ?? {}, { paths: acme, terminating });
    Object.assign(second ?? {}, { paths: bob });
    tuf.write('targets');
  }

  it('5.6.7 the most trusted role that lists a path is the one that counts', async () => {
    const { tuf, device } = await standing();
    delegate(tuf, ['models/*/*'], ['models/bob-*/*']);
    tuf.draft('acme').signed['targets'] = { [modelPath('bob', 1)]: target('acme says') };
    expect(await device.refresh(tuf.write('acme').publish())).toBe('ok');
    expect(await device.client.target(modelPath('bob', 1))).toMatchObject({ length: 9 });
  });

  it('a delegation for a kind of versions that only a later release knows is passed over', async () => {
    const { tuf, device } = await standing();
    delegate(tuf, ['models/acme-*/*', 'runner/*.json'], ['models/bob-*/*']);
    const { signers } = tuf.draft('acme');
    const keyids = signers.map(({ keyId }) => keyId);
    const roles = [{ name: 'acme_skerry-runner', keyids, threshold: 1, terminating: false, paths: ['runner/*.json'] }];
    const delegations = { keys: keysOf(signers), roles };
    expect(await device.refresh(tuf.write('acme', { change: (signed) => ({ ...signed, delegations }) }).publish())).toBe('ok');
    expect(await device.client.target(modelPath('acme', 1))).toMatchObject({ length: 4 });
    const stolen = { ...delegations, roles: roles.map((role) => ({ ...role, paths: ['models/bob-vad/*'] })) };
    expect(await device.refresh(tuf.write('acme', { change: (signed) => ({ ...signed, delegations: stolen }) }).publish())).toBe('ok');
    expect(await device.client.unavailable()).toMatchObject([{ role: 'acme', error: { code: 'TRUST_TARGETS_FORMAT' } }]);
  });

  it('5.6.7.2 a role is not asked for a path outside its delegation', async () => {
    const { tuf, device } = await standing();
    tuf.draft('acme').signed['targets'] = { [modelPath('carol', 1)]: target('stolen') };
    expect(await device.refresh(tuf.write('acme').publish())).toBe('ok');
    expect(await device.client.target(modelPath('carol', 1))).toBeUndefined();
  });

  it('5.6.7.2.1 a terminating role ends the search', async () => {
    const { tuf, device } = await standing();
    delegate(tuf, ['models/*/*'], ['models/bob-*/*'], true);
    expect(await device.refresh(tuf.publish())).toBe('ok');
    expect(await device.client.target(modelPath('bob', 1))).toBeUndefined();
  });

  it('(Y) a lapsed role with a wider pattern stops its own targets only; a damaged one all that might be its own', async () => {
    const { tuf, device } = await standing();
    delegate(tuf, ['models/*/*'], ['models/bob-*/*']);
    expect(await device.refresh(tuf.write('acme', { expires: PAST }).publish())).toBe('ok');
    expect(await device.client.target(modelPath('bob', 1))).toMatchObject({ length: 3 });
    await expect(device.client.target(modelPath('acme', 1))).rejects.toMatchObject({ code: 'TRUST_METADATA_EXPIRED' });
    expect(await device.refresh(tuf.write('acme', { signatures: none }).publish())).toBe('ok');
    await expect(device.client.target(modelPath('bob', 1))).rejects.toMatchObject({ code: 'TRUST_TARGETS_SIGNATURE' });
  });

  it('(Y) a device enrolled while a publisher has lapsed takes up the others', async () => {
    const tuf = new TufFiles();
    tuf.write('root').write('acme', { expires: PAST }).publish();
    const device = await ConformingDevice.pin(tuf);
    expect(await device.refresh(tuf)).toBe('ok');
    expect(await device.client.target(modelPath('bob', 1))).toMatchObject({ length: 3 });
    expect(await device.again().client.versions()).toEqual(at(2, 2, 2));
    expect(FUTURE > PAST).toBe(true);
  });
});
