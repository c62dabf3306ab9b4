import { expect, test } from 'vitest';
import { pathOf, type Routable, Router } from '#agent/serve/http/router.js';

const ROUTES: readonly (Routable & { readonly name: string })[] = [
  { method: 'GET', path: '/v2', name: 'server' },
  { method: 'GET', path: '/v2/models/:model', name: 'model' },
  { method: 'POST', path: '/v2/models/:model/infer', name: 'infer' },
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
