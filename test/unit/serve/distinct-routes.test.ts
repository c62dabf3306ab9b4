import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DIALECT_NAMES, openDialects, SHARED_ROUTES } from '#agent/serve/dialects.js';
import { distinctRoutes } from '#agent/serve/distinct-routes.js';
import type { HttpApi } from '#agent/serve/http/exchange.js';
import { errorAnswer } from '#agent/serve/http/json-answer.js';
import { coded } from '../../kit/coded.js';
import { PROJECT_ROOT } from '../../kit/processes.js';

/** An API of GET routes. */
function api(name: string, ...paths: readonly string[]): HttpApi & { readonly name: string } {
  const handle = () => ({ status: 200, headers: {}, body: [name] });
  return { name, error: errorAnswer, routes: paths.map((path) => ({ method: 'GET', path, call: 'metadata', handle })) };
}

const pathsOf = (apis: readonly (HttpApi & { readonly name: string })[]): readonly (readonly string[])[] =>
  apis.map(({ name, routes }) => [name, ...routes.map(({ path }) => path)]);

test('the first dialect of a shared route answers it', () => {
  const [mlflow, torchserve, sagemaker] = [api('mlflow', '/ping', '/version'), api('torchserve', '/ping'), api('sagemaker', '/ping')];
  expect(pathsOf(distinctRoutes([mlflow, torchserve], SHARED_ROUTES))).toEqual([
    ['mlflow', '/version'],
    ['torchserve', '/ping'],
  ]);
  expect(pathsOf(distinctRoutes([sagemaker, mlflow], SHARED_ROUTES))).toEqual([['sagemaker'], ['mlflow', '/ping', '/version']]);
});

test('two that take the same requests are refused by name', () => {
  const refusal = coded('CONFIG_INVALID', 'one (GET /models/:model) and two (GET /models/scale) take the same requests');
  expect(() => distinctRoutes([api('one', '/models/:model'), api('two', '/models/scale')], SHARED_ROUTES)).toThrow(refusal);
  expect(() => distinctRoutes([api('one', '/ping'), api('mlflow', '/ping')], SHARED_ROUTES)).toThrow(
    coded('CONFIG_INVALID', 'one (GET /ping) and mlflow'),
  );
});

test('a dialect that is not spoken is not imported', () => {
  const table = readFileSync(join(PROJECT_ROOT, 'agent/serve/dialects.ts'), 'utf8');
  expect(table.match(/^import .*dialects\//gm)).toBeNull();
});

test('dialects are chosen by name', async () => {
  expect((await openDialects(['mlflow', 'oip'])).map(({ name }) => name)).toEqual(['mlflow', 'oip']);
  expect((await openDialects(DIALECT_NAMES)).map(({ name }) => name)).toEqual(DIALECT_NAMES);
  expect(() => openDialects(['oip', 'soap'])).toThrow(coded('CONFIG_INVALID', 'there is no dialect "soap", only oip, '));
});
