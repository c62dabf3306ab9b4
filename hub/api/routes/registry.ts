import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { ArtifactUploads } from '#hub/registry/artifact-uploads.js';
import type { Registry } from '#hub/registry/registry.js';
import { modelDetailSchema, modelListSchema, versionDetailSchema } from '#hub/registry/views.js';
import { deletedVersionSchema, retiredVersionsSchema } from '#hub/registry/version-needs.js';
import { PUBLISH_BODY_BYTES, publishBodySchema, retireBodySchema } from '#hub/registry/wire.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { defineRoute } from '../define-route.js';
import type { Caller, Route } from '../route.js';

const modelParams = z.strictObject({ model: modelNameSchema });
const versionParams = z.strictObject({ model: modelNameSchema, version: z.coerce.number().pipe(versionNumberSchema) });
const artifactParams = z.strictObject({ sha256: digestSchema });

export function nameOf(caller: Caller): string {
  return caller.kind === 'token' ? caller.name : 'anonymous';
}

/** Models, versions and the artifacts they are made of. */
export function registryRoutes(registry: Registry, uploads: ArtifactUploads): readonly Route[] {
  return [...readingRoutes(registry), ...publishRoutes(registry), ...deleteRoutes(registry), ...artifactRoutes(uploads)];
}

function readingRoutes(registry: Registry): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/models',
      id: 'listModels',
      tag: 'registry',
      summary: 'Lists the models',
      access: 'model:read',
      answer: modelListSchema,
      handler: async () => ({ models: await registry.models() }),
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/models/:model',
      id: 'getModel',
      tag: 'registry',
      summary: 'A model and its versions, newest first',
      access: 'model:read',
      params: modelParams,
      answer: modelDetailSchema,
      errors: ['MODEL_UNKNOWN'],
      handler: async ({ params }) => registry.model(params.model),
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/models/:model/versions/:version',
      id: 'getVersion',
      tag: 'registry',
      summary: 'A version with its signed manifest',
      access: 'model:read',
      params: versionParams,
      answer: versionDetailSchema,
      errors: ['MODEL_UNKNOWN', 'VERSION_UNKNOWN'],
      handler: async ({ params }) => registry.version(params.model, params.version),
    }),
  ];
}

function publishRoutes(registry: Registry): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      url: '/api/v1/models/:model/versions',
      id: 'publishVersion',
      tag: 'registry',
      summary: 'Publishes a version whose artifacts are here',
      description:
        'Everything is checked again: canonical manifest, every chunk of every artifact, golden samples, the signed targets file. ' +
        '201 for a new version; 200 when this very content is there already.',
      access: 'model:publish',
      audit: ({ params }) => `models/${params.model}`,
      params: modelParams,
      body: publishBodySchema,
      bodyLimit: PUBLISH_BODY_BYTES,
      status: 201,
      otherStatus: [200],
      answer: versionDetailSchema,
      errors: [
        'VERSION_CONFLICT',
        'VERSION_NOT_NEWER',
        'VERSION_DELETED',
        'ARTIFACT_MISSING',
        'MANIFEST_MISMATCH',
        'BUNDLE_MANIFEST_INVALID',
        'SAFETENSORS_INVALID',
      ],
      handler: async ({ params, body, caller, reply, note }) => {
        const { created, version } = await registry.publish(params.model, {
          manifest: Buffer.from(body.manifest, 'base64'),
          role: body.role,
          files: Object.fromEntries(Object.entries(body.files).map(([role, file]) => [role, Buffer.from(file, 'base64')])),
          publisher: nameOf(caller),
        });
        if (!created) reply.code(200);
        note.target = `models/${version.model}/versions/${version.version}`;
        note.detail = { manifest: version.manifest, created };
        return version;
      },
    }),
  ];
}

function deleteRoutes(registry: Registry): readonly Route[] {
  return [
    defineRoute({
      method: 'DELETE',
      url: '/api/v1/models/:model/versions/:version',
      id: 'deleteVersion',
      tag: 'registry',
      summary: 'Deletes a version that nothing needs any more, and the artifacts that no other version needs',
      description:
        'While deployments, rollouts under way or devices need it, it is refused and they are named. Its number is never used again, and the same content cannot come back under it.',
      access: 'model:delete',
      audit: ({ params }) => `models/${params.model}/versions/${params.version}`,
      params: versionParams,
      answer: deletedVersionSchema,
      errors: ['MODEL_UNKNOWN', 'VERSION_UNKNOWN', 'VERSION_DELETED', 'VERSION_IN_USE'],
      handler: async ({ params, caller, note }) => {
        const deleted = await registry.delete(params.model, params.version, nameOf(caller));
        note.detail = { action: 'delete', artifacts: deleted.artifacts, bytes: deleted.bytes };
        return deleted;
      },
    }),
    retireRoute(registry),
  ];
}

function artifactRoutes(uploads: ArtifactUploads): readonly Route[] {
  return [
    defineRoute({
      method: 'HEAD',
      url: '/api/v1/artifacts/:sha256',
      id: 'hasArtifact',
      tag: 'registry',
      summary: 'Whether an artifact is here, and its length',
      access: 'model:read',
      params: artifactParams,
      answer: 'empty',
      errors: ['ARTIFACT_UNKNOWN'],
      handler: async ({ params, reply }) => {
        const length = await uploads.length(params.sha256);
        if (length === undefined) throw new SkerryError('ARTIFACT_UNKNOWN', `there is no artifact ${params.sha256}`);
        reply.header('x-artifact-length', length);
      },
    }),
    defineRoute({
      method: 'PUT',
      url: '/api/v1/artifacts/:sha256',
      id: 'putArtifact',
      tag: 'registry',
      summary: 'Uploads an artifact, streamed; nothing is kept unless its digest is the one in the path',
      access: 'model:publish',
      audit: ({ params }) => `artifacts/${params.sha256}`,
      params: artifactParams,
      body: { mediaType: 'application/octet-stream', description: `The bytes, at most ${LIMITS.artifactBytes}, with a Content-Length.` },
      status: 201,
      answer: z.object({ digest: digestSchema, length: z.int() }),
      errors: ['ARTIFACT_DIGEST_MISMATCH', 'ARTIFACT_TRUNCATED', 'DISK_FULL'],
      handler: async ({ params, request, note }) => {
        const length = announcedLength(request.headers['content-length']);
        const stored = await uploads.put(params.sha256, whole(request.raw, params.sha256), length);
        note.detail = { length: stored.length };
        return { digest: params.sha256, length: stored.length };
      },
    }),
  ];
}

/** A token of a publisher is enough: what retires a version is the publisher's signature, which a stolen token cannot make. */
function retireRoute(registry: Registry): Route {
  return defineRoute({
    method: 'POST',
    url: '/api/v1/models/:model/retire',
    id: 'retireVersions',
    tag: 'registry',
    summary: 'Retires versions that nothing needs any more, as their publisher signed it',
    description:
      'They are taken off the trust metadata and deleted, with the artifacts that no other version needs. With `dryRun` it is only said what that ' +
      'would free. While deployments, rollouts under way or devices need one of them, all are refused. The newest version of a model stays.',
    access: 'model:publish',
    audit: ({ params }) => `models/${params.model}`,
    params: modelParams,
    body: retireBodySchema,
    bodyLimit: PUBLISH_BODY_BYTES,
    answer: retiredVersionsSchema,
    errors: ['VERSION_IN_USE', 'MANIFEST_MISMATCH', 'TRUST_TARGETS_VERSION', 'TRUST_TARGET_TAKEN'],
    handler: async ({ params, body, caller, note }) => {
      const { versions, role, files } = body;
      if (body.dryRun === true) return registry.previewRetirement(params.model, versions);
      if (role === undefined || files === undefined) throw new SkerryError('INPUT_SCHEMA', 'role and files are missing');
      const signed = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, Buffer.from(file, 'base64')]));
      const retired = await registry.retire({ model: params.model, versions, role, files: signed, by: nameOf(caller) });
      note.detail = { action: 'retire', versions: versions.length, artifacts: retired.artifacts, bytes: retired.bytes };
      return retired;
    },
  });
}

function announcedLength(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const length = Number(header);
  if (length > LIMITS.artifactBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `an artifact has at most ${LIMITS.artifactBytes} bytes, ${length} were announced`);
  }
  return length;
}

/** The request's bytes; a connection that breaks before the end is an upload cut short. */
async function* whole(request: IncomingMessage, digest: string): AsyncIterable<Uint8Array> {
  try {
    for await (const piece of request as AsyncIterable<Uint8Array>) yield piece;
  } catch (cause) {
    if (errnoOf(cause) !== 'ECONNRESET') throw cause;
    throw new SkerryError('ARTIFACT_TRUNCATED', `the connection broke during the upload of ${digest}`, { cause });
  }
}
