/** The direction of imports (docs/ARCHITECTURE.md, "Rooms"), as dependency-cruiser rules. */
const forbid = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to });

export default {
  forbidden: [
    forbid('no-cycles', {}, { circular: true }, 'A cycle has no first page to read.'),
    forbid(
      'resolvable',
      { path: '^(shared|agent|hub|packaging|test)/' },
      { couldNotResolve: true, pathNot: '^node:' },
      'An import that resolves nowhere hides an edge.',
    ),
    forbid(
      'shared-is-alone',
      { path: '^shared/' },
      { path: '^(agent|hub|test|packaging)/' },
      'What both sides agree on imports nothing of ours.',
    ),
    forbid('agent-not-hub', { path: '^agent/' }, { path: '^(hub|test|packaging)/' }, 'Agent and hub meet on the wire only.'),
    forbid('hub-not-agent', { path: '^hub/' }, { path: '^(agent|test|packaging)/' }, 'Agent and hub meet on the wire only.'),
    forbid('packaging-not-test', { path: '^packaging/' }, { path: '^test/' }, 'What is shipped is not built by test code.'),
    forbid(
      'programs-are-small',
      { path: '^packaging/program/' },
      { path: '^packaging/(?!program/)|node_modules/(esbuild|postject)/' },
      'What runs on a device holds nothing of what built it.',
    ),
    forbid('kernel-is-lowest', { path: '^shared/kernel/' }, { path: '^shared/(?!kernel/)' }, 'The kernel knows no domain.'),
    forbid(
      'nobody-imports-serve',
      { path: '^agent/(?!app\\.ts|contract\\.ts|serve/)' },
      { path: '^agent/serve/' },
      'Only the composition root builds the servers; its contract names where they listen.',
    ),
    forbid('serve-only-translates', { path: '^agent/serve/' }, { path: '^agent/(models|sync|store)/' }, 'serve -> inference.'),
    forbid(
      'inference-stands-alone',
      { path: '^agent/inference/' },
      { path: '^agent/(models|sync|store|serve|cli)/' },
      'Predictions wait for nobody.',
    ),
    forbid(
      'models-way',
      { path: '^agent/models/' },
      { path: '^agent/(sync|serve|cli)/' },
      'models -> inference, store; what it needs of sync are ports.',
    ),
    forbid(
      'sync-way',
      { path: '^agent/sync/' },
      { path: '^agent/(inference|serve|cli|metrics)/' },
      'sync -> store, and the ports of models.',
    ),
    forbid(
      'sync-only-ports',
      { path: '^agent/sync/' },
      { path: '^agent/models/(?!ports\\.ts)' },
      'sync implements the ports of models and knows no more of it.',
    ),
    forbid(
      'update-way',
      { path: '^agent/update/' },
      { path: '^agent/(inference|sync|serve|cli|metrics)/' },
      'update -> models, store; what it needs of sync are the ports of models and its own.',
    ),
    forbid(
      'models-know-no-update',
      { path: '^agent/(models|sync|inference|serve|metrics)/' },
      { path: '^agent/update/' },
      'Only app and cli compose it.',
    ),
    forbid('store-stands-alone', { path: '^agent/store/' }, { path: '^agent/(?!store/)' }, 'The store serves everyone and asks nobody.'),
    forbid(
      'only-app-composes',
      { path: '^agent/(?!app\\.ts|main\\.ts|cli/)' },
      { path: '^agent/(app|main)\\.ts' },
      'One composition root.',
    ),
    forbid(
      'hub-only-app-composes',
      { path: '^hub/(?!app\\.ts|main\\.ts|cli/)' },
      { path: '^hub/(app|main)\\.ts' },
      'One composition root.',
    ),
    forbid(
      'hub-never-publishes',
      { path: '^hub/(?!publisher/|cli/|main\\.ts)' },
      { path: '^hub/publisher/' },
      'The server never touches what holds publisher keys (DESIGN R1).',
    ),
    forbid(
      'publisher-is-a-client',
      { path: '^hub/publisher/' },
      { path: '^hub/(?!publisher/)' },
      'The publisher side speaks to the hub over its API.',
    ),
    forbid(
      'pure-decisions',
      { path: ['^(agent|hub|shared)/.+/decide/', '^shared/stats/'] },
      { path: '^(node:)?(fs|net|http|https|child_process|worker_threads|timers)(/|$)' },
      'What decides lies in a folder `decide/`, or in shared/stats, and does no I/O.',
    ),
    forbid(
      'no-test-code-shipped',
      { path: '^(shared|agent|hub|packaging)/' },
      { path: 'node_modules/(vitest|fast-check)/' },
      'Test tools stay in test.',
    ),
  ],
};
