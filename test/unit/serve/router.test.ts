import { expect, test } from 'vitest';
import { matchRoute, pathOf, type Route } from '#agent/serve/http/router.js';

const ROUTES: readonly Route<string>[] = [
  { method: 'GET', path: '/v2', handle: 'server' },
  { method: 'GET', path: '/v2/models/:model', handle: 'model' },
  { method: 'POST', path: '/v2/models/:model/infer', handle: 'infer' },
];

test.each([
  ['GET', '/v2', { kind: 'found', handle: 'server', params: {} }],
  ['HEAD', '/v2', { kind: 'found', handle: 'server' }],
  ['GET', '/v2/models/a%20b', { kind: 'found', handle: 'model', params: { model: 'a b' } }],
  ['POST', '/v2/models/a/infer', { kind: 'found', handle: 'infer', params: { model: 'a' } }],
  ['POST', '/v2/models/a', { kind: 'method', allow: ['GET', 'HEAD'] }],
  ['GET', '/v2/models/a/infer', { kind: 'method', allow: ['POST'] }],
  ['GET', '/v2/', { kind: 'found', handle: 'server' }],
  ['GET', '/%762', { kind: 'found', handle: 'server' }],
  ['POST', '/v2/models/a%2Fb/infer/', { kind: 'found', handle: 'infer', params: { model: 'a/b' } }],
  ['GET', '/v2//', { kind: 'unknown' }],
  ['GET', '/', { kind: 'unknown' }],
  ['GET', '/v2/models/', { kind: 'unknown' }],
  ['GET', '/v2/models/%ff', { kind: 'unknown' }],
  ['GET', '/constructor', { kind: 'unknown' }],
])('%s %s', (method, path, expected) => {
  expect(matchRoute(ROUTES, method, path)).toMatchObject(expected);
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
