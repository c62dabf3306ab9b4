import { expect, test } from 'vitest';
import { overlap, pathOf, type Routable, Router } from '#agent/serve/http/router.js';

const ROUTES: readonly (Routable & { readonly name: string })[] = [
  { method: 'GET', path: '/v2', name: 'server' },
  { method: 'GET', path: '/v2/models/:model', name: 'model' },
  { method: 'POST', path: '/v2/models/:model/infer', name: 'infer' },
  { method: 'GET', path: '/v1/models/:model', name: 'status', ignoreCase: true },
  { method: 'POST', path: '/v1/models/:model:predict', name: 'predict', ignoreCase: true },
  { method: 'POST', path: '/v1/models/:model/versions/:version:predict', name: 'version', ignoreCase: true },
  { method: 'POST', path: '/r/:model:do', name: 'strict' },
];

test.each([
  ['GET', '/v2', { kind: 'found', route: { name: 'server' }, params: {} }],
  ['HEAD', '/v2', { kind: 'found', route: { name: 'server' } }],
  ['GET', '/v2/models/a%20b', { kind: 'found', route: { name: 'model' }, params: { model: 'a b' } }],
  ['POST', '/v2/models/a/infer', { kind: 'found', route: { name: 'infer' }, params: { model: 'a' } }],
  ['POST', '/v2/models/a', { kind: 'method', allow: ['GET', 'HEAD'] }],
  ['GET', '/v2/models/a/infer', { kind: 'method', allow: ['POST'] }],
  ['GET', '/v2/', { kind: 'found', route: { name: 'server' } }],
  ['GET', '/%762', { kind: 'found', route: { name: 'server' } }],
  ['POST', '/v2/models/a%2Fb/infer/', { kind: 'found', route: { name: 'infer' }, params: { model: 'a/b' } }],
  ['GET', '/v2//', { kind: 'unknown' }],
  ['GET', '/', { kind: 'unknown' }],
  ['GET', '/v2/models/', { kind: 'unknown' }],
  ['GET', '/v2/models/%ff', { kind: 'unknown' }],
  ['GET', '/constructor', { kind: 'unknown' }],
  ['POST', '/v1/models/a.b:predict', { kind: 'found', route: { name: 'predict' }, params: { model: 'a.b' } }],
  ['POST', '/V1/Models/A.b:PREDICT/', { kind: 'found', route: { name: 'predict' }, params: { model: 'A.b' } }],
  ['POST', '/v1/models/a%20b%3Apredict', { kind: 'found', route: { name: 'predict' }, params: { model: 'a b' } }],
  ['POST', '/v1/models/a:b:predict', { kind: 'found', route: { name: 'predict' }, params: { model: 'a:b' } }],
  ['POST', '/v1/models/a/VERSIONS/2:predict', { kind: 'found', route: { name: 'version' }, params: { model: 'a', version: '2' } }],
  ['GET', '/v1/models/A', { kind: 'found', route: { name: 'status' }, params: { model: 'A' } }],
  ['POST', '/v1/models/:predict', { kind: 'method', allow: ['GET', 'HEAD'] }],
  ['POST', '/v1/models/a:predicts', { kind: 'method', allow: ['GET', 'HEAD'] }],
  ['POST', '/r/a:do', { kind: 'found', route: { name: 'strict' }, params: { model: 'a' } }],
  ['POST', '/r/a:DO', { kind: 'unknown' }],
  ['POST', '/R/a:do', { kind: 'unknown' }],
])('%s %s', (method, path, expected) => {
  expect(new Router(ROUTES).match(method, path)).toMatchObject(expected);
});

test.each([
  ['/v2', '/v2'],
  ['/v2?a=/b', '/v2'],
  ['http://device:80/v2/?x', '/v2/'],
  ['HTTPS://user@[::1]/v2', '/v2'],
  ['http://device', '/'],
  ['http://device?x', '/'],
  ['*', '*'],
])('the path of %s is %s', (target, path) => {
  expect(pathOf(target)).toBe(path);
});

test.each([
  ['/a/:model', '/a/:name', true],
  ['/a/:model', '/a/b', true],
  ['/a/b', '/a/c', false],
  ['/a/b', '/A/b', false],
  ['/a/:model:do', '/a/:model', true],
  ['/a/:model:do', '/a/:model:go', false],
  ['/a/:model:do', '/a/x:do', true],
  ['/a/:model:do', '/a/:do', true],
  ['/a/:model:do', '/a/do', false],
  ['/a/:model:do', '/a/:model/b', false],
])('%s and %s: %s', (one, other, both) => {
  expect(overlap({ method: 'GET', path: one }, { method: 'GET', path: other })).toBe(both);
  expect(overlap({ method: 'GET', path: other }, { method: 'GET', path: one })).toBe(both);
  expect(overlap({ method: 'GET', path: one }, { method: 'POST', path: other })).toBe(false);
});

test('letters of either case are the same for a route that ignores it', () => {
  expect(overlap({ method: 'GET', path: '/a/B' }, { method: 'GET', path: '/A/b', ignoreCase: true })).toBe(true);
});
