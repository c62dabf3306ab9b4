import { z } from 'zod';
import { metadataFile } from '#hub/registry/metadata-file.js';
import { checkRetiresNone } from '#hub/registry/decide/retirement-check.js';
import { checkNoNewVersions } from '#hub/registry/decide/target-check.js';
import type { TufRepository } from '#hub/registry/tuf/repository.js';
import { metadataFileSchema } from '#hub/registry/wire.js';
import { decodeTrustUpdate, type HubPublicKeys, hubPublicKeysSchema, trustUpdateSchema } from '#shared/trust/update.js';
import { defineRoute } from '../define-route.js';
import type { Capability } from '#hub/kernel/roles.js';
import type { Route } from '../route.js';

const versionsSchema = z.object({ root: z.int(), targets: z.int(), snapshot: z.int(), timestamp: z.int() });

/** TUF metadata: what is published, and what its owners replace. */
export function trustRoutes(tuf: TufRepository, keys: HubPublicKeys): readonly Route[] {
  const update = (name: 'root' | 'targets', summary: string, access: Capability): Route =>
    defineRoute({
      method: 'PUT',
      url: `/api/v1/trust/${name}`,
      id: `putTrust${name === 'root' ? 'Root' : 'Targets'}`,
      tag: 'trust',
      summary,
      description:
        'Files are checked as a device would check them and taken over together or not at all. The same files again change nothing. With `recovery`, versions may be left out and targets listed whose content is not here: for a hub that was restored from a backup.',
      access,
      audit: () => `trust/${name}`,
      body: name === 'root' ? trustUpdateSchema : trustUpdateSchema.omit({ roots: true }),
      answer: versionsSchema,
      errors: ['TRUST_HUB_KEYS', 'TRUST_TARGETS_VERSION', 'TRUST_TARGET_TAKEN', 'TRUST_TARGET_FORBIDDEN', 'MANIFEST_MISMATCH'],
      handler: async ({ body, note }) => {
        const files = decodeTrustUpdate(body);
        if (files.recovery !== true) {
          checkNoNewVersions(files, (path) => tuf.target(path));
          checkRetiresNone(files, (role) => tuf.findFile(role));
        }
        const { versions } = await tuf.accept(files);
        note.detail = versions;
        return versions;
      },
    });
  return [
    defineRoute<z.infer<typeof fileParams>, undefined, undefined, Uint8Array>({
      method: 'GET',
      url: '/api/v1/trust/metadata/:file',
      id: 'getTrustMetadata',
      tag: 'trust',
      summary: 'A published metadata file, as signed',
      description: 'By repository name (`3.root.json`, `timestamp.json`), or the newest of a role (`root.json`); `index.json` lists them.',
      access: 'trust:read',
      params: fileParams,
      answer: { mediaType: 'application/json', description: 'The exact bytes that were signed.' },
      handler: async ({ params }) => Buffer.from(metadataFile(tuf.publication(), params.file)),
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/trust/hub-keys',
      id: 'getHubKeys',
      tag: 'trust',
      summary: 'Public keys of this hub, which root and director file must name',
      access: 'trust:read',
      answer: hubPublicKeysSchema,
      handler: async () => keys,
    }),
    update('root', 'Replaces the root of trust, and whatever comes with it', 'trust:write-root'),
    update('targets', 'Replaces targets files and the director file', 'trust:write-targets'),
  ];
}

const fileParams = z.strictObject({ file: metadataFileSchema });
