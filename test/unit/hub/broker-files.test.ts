import { chown, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BrokerFiles } from '#hub/broker-files.js';
import type { DevicePasswords } from '#hub/fleet/device-passwords.js';
import { coded } from '../../kit/coded.js';
import { recordingLogger } from '../../kit/recorder.js';
import { tempFolder } from '../../kit/temp-folder.js';

async function brokerFiles(reload: (folder: string) => string, group?: string) {
  const folder = await tempFolder();
  const devices: { username: string; hash: string }[] = [];
  const passwords = { mosquittoEntries: () => Promise.resolve([...devices]) } as Pick<
    DevicePasswords,
    'mosquittoEntries'
  > as DevicePasswords;
  const log = recordingLogger();
  const files = new BrokerFiles({
    folder,
    fleet: 'main',
    hubUser: 'hub',
    hubHash: '$7$hub',
    passwords,
    group,
    reload: reload(folder),
    logger: log.logger,
  });
  return { files, folder, devices, log, read: (name: string) => readFile(join(folder, name), 'utf8') };
}

test('of many who ask at once, two writings serve all, and the last one knows every device', async () => {
  const { files, devices, read } = await brokerFiles((folder) => `echo read >> '${join(folder, 'reloads')}'`);
  const lines = async (name: string) => (await read(name)).split('\n').filter((line) => line !== '');
  for (const round of [1, 2]) {
    const asked = Array.from({ length: 20 }, (_, n) => {
      devices.push({ username: `device-${round}-${n}`, hash: `$7$${n}` });
      return files.update();
    });
    await Promise.all(asked);
    expect(await lines('reloads')).toHaveLength(2 * round);
    expect(await lines('passwords')).toHaveLength(1 + 20 * round);
  }
});

test('a broker that could not be told is an error in the log, not one of the enrolment', async () => {
  const { files, log } = await brokerFiles(() => 'exit 3');
  await files.update();
  expect(log.lines.map(({ level, fields }) => [level, fields['command']])).toEqual([['error', 'exit 3']]);
});

test.skipIf(process.getuid?.() !== 0)('the group of the folder may read the files, and nobody else may', async () => {
  const { files, folder } = await brokerFiles(() => 'true');
  await chown(folder, 0, 4_242);
  await files.update();
  for (const name of ['acl', 'passwords']) {
    const { gid, mode } = await stat(join(folder, name));
    expect([gid, mode & 0o777]).toEqual([4_242, 0o640]);
  }
});

test('a group that does not exist is named', async () => {
  const { files } = await brokerFiles(() => 'true', 'no-such-group');
  await expect(files.update()).rejects.toThrow(coded('HUB_MOSQUITTO_GROUP', 'no-such-group'));
});
