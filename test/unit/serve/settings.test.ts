import { expect, test } from 'vitest';
import { ServeLog } from '#agent/serve/settings/log-settings.js';
import type { Logger } from '#shared/kernel/logger.js';

test('the log of the local API holds back and raises lines as its settings say, in its children as well', () => {
  const lines: string[] = [];
  const target: Logger = {
    debug: (_, text) => void lines.push(`debug ${text}`),
    info: (_, text) => void lines.push(`info ${text}`),
    warn: (_, text) => void lines.push(`warn ${text}`),
    error: (_, text) => void lines.push(`error ${text}`),
    child: () => target,
  };
  const log = ServeLog.over(target);
  const child = log.child({ a: 1 });
  child.debug({}, 'first');
  log.change({ info: false, warning: false, error: false });
  for (const level of ['info', 'warn', 'error'] as const) child[level]({}, 'held back');
  log.change({ verboseLevel: 1, info: true });
  child.debug({}, 'raised');
  expect(lines).toEqual(['debug first', 'info raised']);
});
