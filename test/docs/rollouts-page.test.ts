import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseRollout } from '../kit/rollout-text.js';
import { gateSchema } from '#hub/rollouts/gate-document.js';
import { signature } from '#hub/rollouts/adapters/alert-sinks.js';
import { webhookKey } from '#hub/rollouts/adapters/webhook-secret.js';
import { actionsIn, ROLLOUT_STATES } from '#hub/rollouts/decide/machine.js';
import { ALERT_KINDS } from '#hub/rollouts/ports.js';
import { DEVICE_STATUSES } from '#hub/rollouts/record.js';
import { SIGNALS } from '#shared/signals/table.js';
import { thresholdsOf } from './signals-tables.js';

let page: string;
beforeAll(async () => {
  page = await readFile(new URL('../../docs/ROLLOUTS.md', import.meta.url), 'utf8');
});

/** Cells of a table's rows, by the text of its first cell. */
function rows(heading: string): Map<string, string[]> {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| `'));
  return new Map(
    lines.map((line) => line.split('|').map((cell) => cell.trim())).map(([, first = '', ...rest]) => [first.replaceAll('`', ''), rest]),
  );
}

describe('docs/ROLLOUTS.md', () => {
  it('has an example that is a rollout', () => {
    const [, yaml = ''] = /<!-- example -->\n```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    expect(parseRollout(yaml)).toMatchObject({ model: 'vad', version: 6, cohort: { saved: 'cameras' } });
  });

  it('names every field of a document', () => {
    const named = [...rows('The document').keys()].flatMap((cell) => cell.split(', '));
    expect(named.toSorted()).toEqual(
      Object.keys(parseRollout('{ name: n, model: vad, version: 6, cohort: "", waves: [100%] }')).toSorted(),
    );
  });

  it('names every gate', () => {
    const own = new Map(SIGNALS.gates.map(([gate, , definition]) => [gate, definition]));
    const kinds = ['install', 'burn', 'limit', ...own.keys()];
    const described = rows('Gates');
    expect([...described.keys()].toSorted()).toEqual(kinds.toSorted());
    for (const [gate, definition] of own) expect([gate, described.get(gate)?.[1]]).toEqual([gate, thresholdsOf(definition)]);
    const issues = gateSchema.safeParse({ gate: 'none' }).error?.issues[0]?.message ?? '';
    for (const kind of kinds) expect(issues).toContain(`'${kind}'`);
    expect(issues.match(/'/g)).toHaveLength(2 * kinds.length);
  });

  it('names every state and what people can do in it', () => {
    const states = rows('States');
    expect([...states.keys()].toSorted()).toEqual([...ROLLOUT_STATES].toSorted());
    for (const state of ROLLOUT_STATES) {
      const can = (states.get(state)?.[1] ?? '').split(', ').filter((action) => action !== '');
      expect([state, can.toSorted()]).toEqual([
        state,
        actionsIn(state)
          .filter((action) => action !== 'supersede')
          .toSorted(),
      ]);
    }
    for (const status of DEVICE_STATUSES) expect(page).toContain(`\`${status}\``);
  });

  it('names every alert, and verifies one as the hub signs it', async () => {
    for (const kind of ALERT_KINDS) expect(page).toContain(`\`${kind}\``);
    const [, code = ''] = /<!-- verify -->\n```js\n([\s\S]*?)```/.exec(page) ?? [];
    const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-docs-'));
    try {
      const file = path.join(folder, 'verify.mjs');
      await writeFile(file, code);
      const { verify } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as {
        verify: (secret: string, headers: Record<string, string>, body: string) => boolean;
      };
      for (const secret of ['shared', `whsec_${Buffer.from('0123456789').toString('base64')}`]) {
        const timestamp = Math.floor(Date.now() / 1000);
        const headers = {
          'webhook-id': 'msg_1',
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signature(webhookKey(secret), 'msg_1', timestamp, '{}'),
        };
        expect([verify(secret, headers, '{}'), verify(secret, headers, '{ }')]).toEqual([true, false]);
        expect(verify(secret, { ...headers, 'webhook-timestamp': String(timestamp - 3600) }, '{}')).toBe(false);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
