import { describe, expect, it } from 'vitest';
import { parseSelector } from '#hub/fleet/decide/selector.js';

describe('parseSelector', () => {
  it.each([
    ['', ''],
    ['  ', ''],
    ['site=lab', 'site=lab'],
    ['site == lab', 'site=lab'],
    ['env!=prod', 'env!=prod'],
    ['tier in (silver, gold,gold)', 'tier in (gold,silver)'],
    ['tier notin(gold)', 'tier!=gold'],
    ['a,!b', 'a,!b'],
    ['example.org/zone=eu-1', 'example.org/zone=eu-1'],
    ['in in (in,notin),notin', 'in in (in,notin),notin'],
    ['x=,y!=', 'x=,y!='],
    ['x in (,a)', 'x in (,a)'],
  ])('reads %j as %j', (text, canonical) => {
    expect(parseSelector(text).toString()).toBe(canonical);
    expect(parseSelector(canonical).toString()).toBe(canonical);
  });

  it.each([
    [',', 0],
    ['a,', 2],
    ['a b', 2],
    ['a in', 4],
    ['a in gold', 5],
    ['a in (gold', 10],
    ['a in (gold silver)', 11],
    ['=lab', 0],
    ['site=-lab', 5],
    ['-site', 0],
    ['!', 1],
    ['!!a', 1],
    ['site=lab)', 8],
    ['a=b=c', 3],
    ['a>1', 0],
    ['site=läb', 5],
    ['a'.repeat(5000), 4096],
  ])('refuses %j at position %i', (text, position) => {
    expect(() => parseSelector(text)).toThrow(expect.objectContaining({ code: 'SELECTOR_INVALID', details: { position } }));
  });

  it('treats a missing label as Kubernetes does', () => {
    expect(parseSelector('env!=prod').matches({})).toBe(true);
    expect(parseSelector('env notin (prod,dev)').matches({})).toBe(true);
    expect(parseSelector('env in (prod)').matches({})).toBe(false);
    expect(parseSelector('env=').matches({})).toBe(false);
    expect(parseSelector('env=').matches({ env: '' })).toBe(true);
  });

  it('does not take inherited properties for labels', () => {
    expect(parseSelector('constructor').matches({})).toBe(false);
    expect(parseSelector('!toString').matches({})).toBe(true);
  });
});
