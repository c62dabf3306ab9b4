import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { topicMatcher } from '#hub/broker/link.js';
import { allowed, type Identity, type TopicAction } from '#hub/broker/decide/topic-rules.js';
import { DEVICE_CHANNELS, type DeviceChannel, deviceTopic } from '#shared/protocol/topics.js';

const ids = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
const channels = fc.constantFrom(...(Object.keys(DEVICE_CHANNELS) as DeviceChannel[]));
const level = fc.oneof(ids, channels, fc.constantFrom('+', '#', '', 'trust', 'blob', 'skerry', 'v1', 'f', '$share', '$SYS'));
const topics = fc.array(level, { minLength: 1, maxLength: 8 }).map((levels) => levels.join('/'));
const says = fc.constantFrom<TopicAction>('publish', 'publish-retained', 'will');

describe('topic rules', () => {
  it('never let a device say anything in a topic of another device', () => {
    fc.assert(
      fc.property(ids, ids, channels, says, (me, other, channel, action) => {
        fc.pre(me !== other);
        const identity: Identity = { kind: 'device', fleet: 'f', device: me };
        expect(allowed(identity, action, deviceTopic('f', other, channel))).toBe(false);
      }),
    );
  });

  it('never let a filter of a device match a topic of another device, however it is written', () => {
    fc.assert(
      fc.property(
        ids,
        ids,
        channels,
        fc.oneof(
          topics,
          fc.tuple(ids, channels, fc.nat(5)).map(([id, channel, at]) => {
            const levels = deviceTopic('f', id, channel).split('/');
            return levels.with(at, '+').join('/');
          }),
        ),
        (me, other, channel, filter) => {
          fc.pre(me !== other);
          const identity: Identity = { kind: 'device', fleet: 'f', device: me };
          if (!allowed(identity, 'subscribe', filter)) return;
          expect(topicMatcher(filter)(deviceTopic('f', other, channel))).toBe(false);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('let nobody publish to a name with wildcards', () => {
    fc.assert(
      fc.property(topics, says, (topic, action) => {
        fc.pre(/[+#]/.test(topic));
        expect(allowed({ kind: 'device', fleet: 'f', device: 'd' }, action, topic)).toBe(false);
        expect(allowed({ kind: 'hub', fleet: 'f' }, action, topic)).toBe(false);
      }),
    );
  });
});

describe('topicMatcher', () => {
  it('agrees with a walk over the levels (MQTT 4.7)', () => {
    const walk = (filter: readonly string[], topic: readonly string[]): boolean => {
      const [head, ...rest] = filter;
      if (head === undefined) return topic.length === 0;
      if (head === '#') return rest.length === 0;
      if (topic.length === 0) return false;
      return (head === '+' || head === topic[0]) && walk(rest, topic.slice(1));
    };
    const plain = fc.array(fc.constantFrom('a', 'b', '', 'a.b', 'x$'), { minLength: 1, maxLength: 4 });
    const filters = fc
      .tuple(fc.array(fc.constantFrom('a', 'b', '', '+', 'a.b', 'x$'), { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([levels, tail]) => (tail ? [...levels, '#'] : levels));
    fc.assert(
      fc.property(filters, plain, (filter, topic) => {
        expect(topicMatcher(filter.join('/'))(topic.join('/'))).toBe(walk(filter, topic));
      }),
      { numRuns: 1_000 },
    );
  });
});
