// The direction of imports (docs/ARCHITECTURE.md, "Rooms"): a table of rooms, rules for single files, and what may not be reached by
// files that decide. `check.mjs` applies them, `boundaries.test.ts` shows that each of them bites.

/** What each room may import of its own side, beside itself. A room that has no row here may not exist. */
export const ROOMS = {
  shared: {
    kernel: [],
    tensor: ['kernel'],
    onnx: ['kernel', 'tensor'],
    stats: ['kernel'],
    signals: ['kernel', 'stats'],
    terminal: ['kernel'],
    bundle: ['kernel', 'tensor', 'onnx'],
    protobuf: ['kernel'],
    protocol: ['kernel', 'bundle', 'signals'],
    trust: ['kernel', 'bundle', 'protocol'],
    client: ['kernel', 'tensor', 'protobuf'],
  },
  agent: {
    store: [],
    inference: [],
    install: ['store'],
    models: ['install', 'inference', 'store'],
    update: ['install', 'store'],
    sync: ['store', 'install'],
    metrics: ['inference', 'store', 'models', 'sync'],
    serve: ['inference'],
    standalone: ['inference', 'serve'],
  },
  hub: {
    kernel: [],
    clock: [],
    store: ['kernel'],
    broker: ['kernel'],
    registry: ['kernel', 'store'],
    telemetry: ['kernel', 'store', 'broker'],
    fleet: ['kernel', 'clock', 'store', 'broker', 'registry'],
    rollouts: ['kernel', 'clock', 'store', 'registry', 'telemetry', 'fleet'],
    api: ['kernel', 'clock', 'store', 'registry', 'telemetry', 'fleet', 'rollouts'],
    publisher: [],
  },
};

/** Folders that put rooms together or are programs on top of them: they stand above all rooms of their side. */
export const ABOVE_ROOMS = { shared: [], agent: ['assembly', 'cli'], hub: ['assembly', 'cli'] };

const forbid = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to });

const roomRules = Object.entries(ROOMS).flatMap(([side, rooms]) => [
  ...Object.entries(rooms).map(([room, allowed]) =>
    forbid(
      `${side}-${room}`,
      { path: `^${side}/${room}/` },
      { path: `^${side}/(?!(${[room, ...allowed].join('|')})/)` },
      `${side}/${room} imports only ${[room, ...allowed].join(', ')} of ${side}.`,
    ),
  ),
  forbid(
    `${side}-rooms-have-a-row`,
    { path: `^${side}/[^/]+/`, pathNot: `^${side}/(${[...Object.keys(rooms), ...ABOVE_ROOMS[side]].join('|')})/` },
    {},
    'A new room gets a place in the direction (ROOMS).',
  ),
]);

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
    ...roomRules,
    forbid(
      'nobody-imports-serve',
      { path: '^agent/(?!app\\.ts|standalone-app\\.ts|contract\\.ts|assembly/|serve/|standalone/|cli/access\\.ts)' },
      { path: '^agent/serve/' },
      'Only the composition roots build the servers; their contract names where they listen. A command reads access files.',
    ),
    forbid(
      'only-repository-of-serve',
      { path: '^agent/standalone/' },
      { path: '^agent/serve/(?!repository\\.ts)' },
      'A folder of models implements the port of the dialects and knows no more of them.',
    ),
    forbid(
      'dialects-are-apart',
      { path: '^agent/serve/dialects/([^/]+)/' },
      { path: ['^agent/serve/dialects/(?!$1/)', '^agent/serve/management/', '^(node:)?(http|http2|net)$'] },
      'Adding a dialect touches no other, and a transport carries it.',
    ),
    forbid(
      'only-the-table-names-dialects',
      { path: '^agent/', pathNot: '^agent/serve/dialects[./]' },
      { path: '^agent/serve/dialects/' },
      'What stands around every dialect names none.',
    ),
    forbid(
      'only-ports-of-models',
      { path: '^agent/metrics/' },
      { path: '^agent/models/(?!ports\\.ts)' },
      'Metrics implement the ports of models and know no more of it.',
    ),
    forbid(
      'only-ports-of-install',
      { path: '^agent/sync/' },
      { path: '^agent/install/(?!ports\\.ts)' },
      'sync implements the ports of install and knows no more of it.',
    ),
    forbid(
      'only-contract-of-sync',
      { path: '^agent/metrics/' },
      { path: '^agent/sync/(?!contract\\.ts)' },
      'Metrics show the state of the link and know no more of it.',
    ),
    forbid(
      'only-app-composes',
      { path: '^agent/(?!app\\.ts|standalone-app\\.ts|main\\.ts|cli/)' },
      { path: '^agent/(app|standalone-app|main)\\.ts' },
      'One composition root for a device of a fleet, and one for a folder of models.',
    ),
    forbid(
      'only-app-assembles',
      { path: '^agent/(?!app\\.ts|standalone-app\\.ts|contract\\.ts|assembly/|cli/(run|serve)\\.ts)' },
      { path: '^agent/assembly/' },
      'The phases of the composition root are called by it and by the one for a folder alone; threads are started before it is loaded.',
    ),
    forbid(
      'hub-only-app-composes',
      { path: '^hub/(?!app\\.ts|main\\.ts|cli/)' },
      { path: '^hub/(app|main)\\.ts' },
      'One composition root.',
    ),
    forbid(
      'hub-only-app-assembles',
      { path: '^hub/(?!app\\.ts|assembly/)' },
      { path: '^hub/assembly/' },
      'The phases of the composition root are called by it alone.',
    ),
    forbid(
      'hub-cli-is-a-client',
      { path: '^hub/cli/' },
      { path: '^hub/(store|broker|assembly)/' },
      'Commands speak to a hub over its API; they know the forms of its answers, not its tables.',
    ),
    forbid(
      'hub-never-publishes',
      { path: '^hub/(?!publisher/|cli/|main\\.ts)' },
      { path: '^hub/publisher/' },
      'The server never touches what holds publisher keys (R1).',
    ),
    forbid(
      'no-test-code-shipped',
      { path: '^(shared|agent|hub|packaging)/' },
      { path: 'node_modules/(vitest|fast-check)/' },
      'Test tools stay in test.',
    ),
  ],
};

/** Files that decide: plans, policies, gates, state machines, statistics. A snapshot goes in, a decision comes out. */
export const DECIDING = /^(agent|hub|shared)\/(.+\/)?decide\/|^shared\/stats\//;

/** Modules that do I/O or know the time. Nothing that decides imports them, nor what it imports in turn; types do not count. */
export const IMPURE_MODULES =
  /^(node:)?(child_process|cluster|dgram|dns|fs|http|http2|https|net|os|perf_hooks|process|readline|timers|tls|worker_threads)(\/|$)|^(aedes|better-sqlite3|fastify|mqtt|onnxruntime-node|pino|ws)$|^shared\/kernel\/(atomic-file|clock|turns)\.ts$/;

/** Properties of globals that tell the time or are left to chance, which a decision gets as arguments. */
export const IMPURE_GLOBALS = {
  Date: ['now'],
  performance: ['now', 'timeOrigin', 'mark', 'measure'],
  process: ['hrtime', 'uptime', 'env', 'memoryUsage', 'cpuUsage'],
  Math: ['random'],
  crypto: ['randomUUID', 'getRandomValues'],
};
export const IMPURE_CALLS = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'fetch'];
