import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** An identity of device `lab-1` as enrolment leaves it in a data folder, for a hub that need not exist. */
export async function pretendEnrolled(data: string, mqttUrl: string): Promise<void> {
  await mkdir(data, { recursive: true });
  const identity = {
    schema: 'skerry.identity/1',
    fleet: 'main',
    device: 'lab-1',
    labels: { site: 'lab' },
    hub: 'http://127.0.0.1:1',
    mqtt: { url: mqttUrl, username: 'lab-1', password: 'a password of a test' },
    enrolledAt: '2026-01-01T00:00:00Z',
  };
  await writeFile(join(data, 'identity.json'), JSON.stringify(identity), { mode: 0o600 });
}
