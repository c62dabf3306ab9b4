import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { signature, WebhookAlerts } from '#hub/rollouts/adapters/alert-sinks.js';
import type { RolloutAlert } from '#hub/rollouts/ports.js';
import { systemClock } from '#shared/kernel/clock.js';
import { webhookKey } from '#hub/rollouts/adapters/webhook-secret.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { until } from '../../../kit/until.js';

interface Got {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const ALERT: RolloutAlert = {
  kind: 'paused',
  at: Date.UTC(2026, 0, 1),
  rollout: 'vad-3-1',
  model: 'vad',
  version: 3,
  wave: 1,
  state: 'paused',
  reason: 'errors: too many',
  actor: 'hub',
};
const SECRET = new TextEncoder().encode('shared');

let server: Server | undefined;
afterEach(() => server?.close());

async function receiver(status: (attempt: number) => number): Promise<{ url: string; got: Got[] }> {
  const got: Got[] = [];
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      got.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
      response.writeHead(status(got.length)).end();
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, got };
}

describe('WebhookAlerts', () => {
  it('signs what it sends, and tries again under the same id until it is taken', async () => {
    const { url, got } = await receiver((attempt) => (attempt === 1 ? 503 : 204));
    const webhook = new WebhookAlerts({ url, secret: SECRET, clock: systemClock, logger: silentLogger, random: () => 0 });
    webhook.notify(ALERT);
    await until('the second attempt', () => got.length === 2);
    await webhook.close();
    const [first, second] = got;
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    const timestamp = Number(second?.headers['webhook-timestamp']);
    expect(second?.headers['webhook-signature']).toBe(
      signature(SECRET, String(second?.headers['webhook-id']), timestamp, second?.body ?? ''),
    );
    expect(JSON.parse(second?.body ?? '')).toEqual({ type: 'rollout.paused', timestamp: '2026-01-01T00:00:00.000Z', data: ALERT });
  });

  it('tells of what is no rollout too', async () => {
    const { url, got } = await receiver(() => 204);
    const webhook = new WebhookAlerts({ url, secret: SECRET, clock: systemClock, logger: silentLogger, random: () => 0 });
    webhook.send({ type: 'trust.expires', at: ALERT.at, data: { role: 'root' } });
    await until('the message', () => got.length === 1);
    await webhook.close();
    expect(JSON.parse(got[0]?.body ?? '')).toEqual({
      type: 'trust.expires',
      timestamp: '2026-01-01T00:00:00.000Z',
      data: { role: 'root' },
    });
  });

  it('signs as the Standard Webhooks specification does', () => {
    // Made with `openssl dgst -sha256 -hmac shared -binary | base64` over "msg_1.1700000000.{}".
    expect(signature(SECRET, 'msg_1', 1_700_000_000, '{}')).toBe('v1,1Z1SUqHeK464Io2mapaUix0nxXCPN7+UW1yjigH2N9k=');
  });

  it('takes a secret as the specification writes them, or any text', () => {
    const key = Buffer.from('0123456789abcdef01234567');
    expect(Buffer.from(webhookKey(`whsec_${key.toString('base64')}\n`)).equals(key)).toBe(true);
    expect(new TextDecoder().decode(webhookKey('shared \n'))).toBe('shared');
  });
});
