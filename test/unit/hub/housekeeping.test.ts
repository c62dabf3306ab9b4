import { expect, test } from 'vitest';
import { Housekeeping } from '#hub/housekeeping.js';
import { recordingLogger } from '../../kit/recorder.js';
import { until } from '../../kit/until.js';

const EVERY_SECOND = '* * * * * *';

test('a chore that fails is logged and comes round again; closing waits for what is under way', async () => {
  const { logger, lines } = recordingLogger();
  let rounds = 0;
  let begun = false;
  let finish: () => void = () => undefined;
  let finished = false;
  const housekeeping = new Housekeeping(
    [
      {
        name: 'fails',
        when: EVERY_SECOND,
        run: () => {
          rounds += 1;
          return Promise.reject(new Error('no'));
        },
      },
      {
        name: 'long',
        when: EVERY_SECOND,
        run: async () => {
          await new Promise<void>((resolve) => {
            begun = true;
            finish = resolve;
          });
          finished = true;
        },
      },
    ],
    logger,
  );
  await housekeeping.start();
  await until('two rounds, and one under way', () => rounds >= 2 && begun);
  const closing = housekeeping.close();
  expect(finished).toBe(false);
  finish();
  await closing;
  expect(finished).toBe(true);
  expect(lines.filter((line) => line.level === 'error').map((line) => line.fields['chore'])).toEqual(
    Array.from({ length: rounds }, () => 'fails'),
  );
});
