import { all, any, at, type DifferenceRule, exchanges, group, path, status, theirError } from './rules.js';
import { TRITON_VALUE_RULES } from './triton-value-rules.js';
import { TRITON_WIRE_RULES } from './triton-wire-rules.js';

/** Recorded models for which there is no ONNX file, or that are kinds of models that we refuse. */
const NO_TWIN =
  /\b(raises|repeat|text_gen|params_echo|optional_input|seq_\w+|slow|slow_load|queued|queued_delay|ens|ens_parent|from_files)\b/;

const MODEL_RULES: readonly DifferenceRule[] = [
  {
    what: 'models that are Python programs, ensembles, or keep state',
    theirs: 'answered',
    ours: '404, or refused by name on load',
    reason: 'Only ONNX models run here.',
    covers: (exchange) =>
      NO_TWIN.test(exchange.path) ||
      ['unload-dependents', 'while-loading'].includes(exchange.chain ?? '') ||
      (exchange.background ?? []).some((one) => NO_TWIN.test(one.path)),
  },
  {
    what: 'server metadata',
    theirs: 'name, version and extensions of Triton',
    ours: 'those of Skerry',
    reason: 'They say who answers, and what is there.',
    covers: all(path(/^\/v2(\?|$)/), at(/^\$\.(name|version|extensions)/)),
  },
  {
    what: 'metadata and configuration: platform, backend, default file, names of instance groups',
    theirs: 'those of the Python backend',
    ours: 'those of ONNX Runtime',
    reason: 'The models are run by another backend.',
    covers: at(/^\$\.(platform|backend|default_model_filename|instance_group\[\d+\]\.name)$/),
  },
  {
    what: 'a name or version that is not loaded, also 0 or one beyond 64 bits',
    theirs: '400, 500 or 503 in some calls; unloading it is fine',
    ours: '404 in every call',
    reason: 'One answer for one mistake, which is also what KServe and MLServer answer.',
    covers: all(status([200, 400, 500, 503], [404]), theirErrorOrUnload()),
  },
  {
    what: 'the generate extension',
    theirs: 'answered',
    ours: '404',
    reason: 'It is made for models that write text piece by piece.',
    covers: all(group('generate'), any(status([200, 400, 404, 405, 500, 501], [404, 405]), at(/^(body|error|header|\$)/))),
  },
  {
    what: 'a repository by another name than the only one',
    theirs: '501',
    ours: '404',
    reason: 'There is no such path.',
    covers: all(path(/^\/v2\/repository\/[^/]+\/models\//), status([501], [404])),
  },
  {
    what: 'configuration of a model that was loaded with another one',
    theirs: 'the version policy of the folder',
    ours: 'that of the request',
    reason: 'It is the one that holds.',
    covers: all(path(/\/config$/), at(/^\$\.version_policy/)),
  },
  {
    what: 'log and trace settings: unknown names, values or levels, a log file',
    theirs: '200 without effect, half of a request applied, 501 or 503',
    ours: '400, and nothing is applied',
    reason: 'A client that sets what is not there must learn of it.',
    covers: any(all(group('logging', 'trace-setting'), status([200, 501, 503], [400])), all(exchanges('logging-011'), at(/log_warning/))),
  },
  {
    what: 'shared memory that cannot be opened, is too small, or a region without a name',
    theirs: '500; 400 for the path without a name',
    ours: '400; 404 for the path',
    reason: 'The request is wrong and not the server.',
    covers: all(group('system-shared-memory'), any(status([500], [400]), all(path(/memory\/register/), status([400], [404])))),
  },
  {
    what: 'metrics on a port of their own, and none on the port of the API',
    theirs: '404 on the port of the API; any path on that of the metrics',
    ours: '`/metrics` on the only port',
    reason: 'One port is enough.',
    covers: any(exchanges('health-031', 'metrics-005'), all(group('metrics'), at(/^(body|header)/))),
  },
];

function theirErrorOrUnload(): DifferenceRule['covers'] {
  return any(
    theirError(
      /not ready|unknown model|not available|no available versions|version should be|not at ready state|failed to poll|Model version/i,
    ),
    path(/\/unload$/),
    all(path(/\/ready/), (exchange) => (exchange.response.status ?? 0) === 400),
  );
}

/** How our answers over HTTP differ on purpose from those of Triton. */
export const TRITON_RULES: readonly DifferenceRule[] = [...MODEL_RULES, ...TRITON_VALUE_RULES, ...TRITON_WIRE_RULES];
