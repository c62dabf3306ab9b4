import { SkerryError } from '#shared/kernel/errors.js';
import { narrow, parseUnknown } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { canonicalJson } from './canonical-json.js';
import { digestOf } from './digest.js';
import { lackingFeaturesOfManifest, requireFeatures } from './features.js';
import { byKind } from './kinds.js';
import { type Manifest, manifestSchema } from './manifest.js';
import type { AgentManifest } from './agent-manifest.js';
import type { ModelManifest } from './model-manifest.js';
import type { Digest } from './names.js';

const CODE = 'BUNDLE_MANIFEST_INVALID';

/** The bytes of a manifest, checked against its schema: canonical JSON, so that one manifest has one digest. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const bytes = canonicalJson(narrow(manifestSchema, manifest, 'manifest', CODE));
  if (bytes.byteLength > LIMITS.manifestBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `the manifest has ${bytes.byteLength} bytes, at most ${LIMITS.manifestBytes} are accepted`);
  }
  return bytes;
}

/**
 * Reads a manifest, and keeps members that a later release added. `INPUT_TOO_LARGE`; `FEATURE_MISSING` or `FORMAT_NEWER` when a
 * later release is needed; `BUNDLE_MANIFEST_INVALID` when the schema does not hold or the bytes are not canonical.
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const document = parseUnknown(bytes, { what: 'manifest', maxBytes: LIMITS.manifestBytes, code: CODE });
  // Before its members are looked at: without the features they may have a form that is not known here.
  requireFeatures(lackingFeaturesOfManifest(document), 'the manifest');
  const manifest = narrow(manifestSchema, document, 'manifest', CODE);
  // Refusing other forms also refuses what JSON parsers disagree on, such as a member given twice.
  if (Buffer.compare(canonicalJson(manifest), bytes) !== 0)
    throw new SkerryError(CODE, 'manifest is not in canonical JSON form (RFC 8785)');
  return manifest;
}

/** `decodeManifest` of what has to be a model's version: a release of the agent is refused with `BUNDLE_MANIFEST_INVALID`. */
export function decodeModelManifest(bytes: Uint8Array): ModelManifest {
  return byKind(decodeManifest(bytes), {
    model: (manifest: ModelManifest) => manifest,
    agent: ({ release }: AgentManifest): never => {
      throw new SkerryError(CODE, `the manifest is of a release of the agent, ${release}, not of a model`);
    },
  });
}

/** `decodeManifest` of what has to be a release of the agent: a model's version is refused with `BUNDLE_MANIFEST_INVALID`. */
export function decodeAgentManifest(bytes: Uint8Array): AgentManifest {
  return byKind(decodeManifest(bytes), {
    model: ({ model }: ModelManifest): never => {
      throw new SkerryError(CODE, `the manifest is of model ${model}, not of a release of the agent`);
    },
    agent: (manifest: AgentManifest) => manifest,
  });
}

/** What makes two versions the same content: the digest of the manifest without its version number. */
export function contentIdentity(manifest: Omit<ModelManifest, 'version'> | Omit<AgentManifest, 'version'>): Digest {
  return digestOf(canonicalJson({ ...manifest, version: undefined }));
}
