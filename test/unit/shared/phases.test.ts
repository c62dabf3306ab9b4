import { expect, test } from 'vitest';
import { type Observer, type Phase, Phases } from '#shared/kernel/phases.js';

interface Asked {
  readonly question: string;
}
interface Understood extends Asked {
  readonly words: readonly string[];
}

const steps: string[] = [];
const noting =
  <C extends Asked>(name: string): Phase<C, C, string> =>
  async (context, next) => {
    steps.push(`before ${name}`);
    try {
      return await next(context);
    } finally {
      steps.push(`behind ${name}`);
    }
  };
const understand: Phase<Asked, Understood, string> = (asked, next) => next({ ...asked, words: asked.question.split(' ') });
const remembered = new Map([['old', 'known']]);
const cache: Phase<Understood, Understood, string> = async (understood, next) => {
  const known = remembered.get(understood.question);
  if (known !== undefined) return known;
  const answer = await next(understood);
  remembered.set(understood.question, answer);
  return answer;
};

const row = Phases.from<Asked, string>()
  .phase('record', noting<Asked>('record'))
  .phase('understand', understand)
  .phase('cache', cache)
  .phase('look', noting<Understood>('look'))
  .end('answer', ({ words }) => (words.length > 2 ? Promise.reject(new Error('too long')) : Promise.resolve(`${words.length} words`)));

test('phases run from the first to the last, and see the answer in the other order', async () => {
  steps.length = 0;
  expect(row.names).toEqual(['record', 'understand', 'cache', 'look', 'answer']);
  expect(await row.run({ question: 'a b' })).toBe('2 words');
  expect(steps).toEqual(['before record', 'before look', 'behind look', 'behind record']);
});

test('one that does not go on answers by itself, and those before it see that', async () => {
  steps.length = 0;
  expect(await row.run({ question: 'a b' })).toBe('2 words');
  expect(await row.run({ question: 'old' })).toBe('known');
  expect(steps).toEqual(['before record', 'behind record', 'before record', 'behind record']);
});

test('an error passes those before it, and a row can be continued in two ways', async () => {
  steps.length = 0;
  await expect(row.run({ question: 'a b c' })).rejects.toThrow('too long');
  expect(steps).toEqual(['before record', 'before look', 'behind look', 'behind record']);
  const begun = Phases.from<Asked, string>().phase('understand', understand);
  const [one, other] = [begun.end('one', async () => 'one'), begun.phase('cache', cache).end('other', async () => 'other')];
  expect([await one.run({ question: 'old' }), await other.run({ question: 'old' })]).toEqual(['one', 'known']);
  expect([one.names, other.names]).toEqual([
    ['understand', 'one'],
    ['understand', 'cache', 'other'],
  ]);
});

test('parts that only look see what comes in, the result and the error, as phases around them do', async () => {
  steps.length = 0;
  const looking = (name: string): Observer<Asked, string> => ({
    enter: ({ question }) => {
      steps.push(`enter ${name}`);
      if (question === name) throw new Error(`${name} refuses`);
    },
    leave: (_, answer) => {
      steps.push(`leave ${name}`);
      if (answer.includes(name)) throw new Error(`${name} dislikes it`);
      return `${answer} ${name}`;
    },
    failed: (_, cause) => {
      steps.push(`failed ${name}`);
      return new Error(`${name}: ${cause instanceof Error ? cause.message : ''}`);
    },
  });
  const observing = Phases.from<Asked, string>()
    .observe('a', looking('a'))
    .observe('silent', {})
    .observe('b', looking('b'))
    .phase('understand', understand)
    .observe('c', { leave: (_, answer) => answer.toUpperCase() })
    .end('answer', async ({ question }) => question);
  expect(observing.names).toEqual(['a', 'silent', 'b', 'understand', 'c', 'answer']);
  expect(await observing.run({ question: 'x' })).toBe('X b a');
  expect(steps.splice(0)).toEqual(['enter a', 'enter b', 'leave b', 'leave a']);
  await expect(observing.run({ question: 'b' })).rejects.toThrow('a: b refuses');
  expect(steps.splice(0)).toEqual(['enter a', 'enter b', 'failed a']);
  await expect(observing.run({ question: 'a' })).rejects.toThrow('a refuses');
  expect(steps.splice(0)).toEqual(['enter a']);
  const disliked = Phases.from<Asked, string>()
    .observe('a', looking('a'))
    .observe('b', looking('b'))
    .end('answer', async () => 'b');
  await expect(disliked.run({ question: 'x' })).rejects.toThrow('a: b dislikes it');
});
