import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { patientReader } from '#hub/cli/patience.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { createOutput } from '#shared/terminal/output.js';
import { coded } from '../../../kit/coded.js';

test('a hub that is away for a while is waited for, and both are said once', async () => {
  const stderr = new PassThrough();
  const away = new SkerryError('HUB_UNREACHABLE', 'http://hub did not answer: connect ECONNREFUSED');
  const answers: (number | SkerryError)[] = [1, away, away, 2, new SkerryError('ROLLOUT_UNKNOWN', 'there is no rollout x')];
  const read = patientReader(createOutput({ stderr, env: {} }), () => {
    const next = answers.shift();
    return next instanceof SkerryError ? Promise.reject(next) : Promise.resolve(next);
  });
  expect([await read(), await read(), await read(), await read()]).toEqual([1, undefined, undefined, 2]);
  await expect(read()).rejects.toEqual(coded('ROLLOUT_UNKNOWN'));
  expect(String(stderr.read())).toBe('http://hub did not answer: connect ECONNREFUSED; asking again\nthe hub answers again\n');
});

test('a hub that never answered is unreachable', async () => {
  const away = new SkerryError('HUB_UNREACHABLE', 'nobody there');
  await expect(patientReader(createOutput({ env: {} }), () => Promise.reject(away))()).rejects.toEqual(coded('HUB_UNREACHABLE'));
});
