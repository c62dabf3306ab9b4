import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { featureListSchema } from './features.js';
import { artifactSchema, checkArtifactList, checkNamesListed, checkUniqueNames, MANIFEST_SCHEMA } from './manifest-parts.js';
import { PACKAGED_RELEASE, VERSION_KINDS } from './kinds.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from './names.js';

const AGENT = VERSION_KINDS.agent;

/** Operating systems and processors as Node names them (`process.platform`, `process.arch`), and as devices report them. */
const AGENT_PLATFORMS = ['linux', 'darwin', 'win32'] as const;
const AGENT_ARCHS = ['x64', 'arm64'] as const;
export type AgentPlatform = (typeof AGENT_PLATFORMS)[number];
export type AgentArch = (typeof AGENT_ARCHS)[number];

/** Semantic Versioning 2.0.0, as the agent names its releases to people. */
export const releaseTextSchema = z
  .string()
  .max(64)
  .regex(/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/, 'a release such as 0.4.0 or 0.4.0-rc.1');

const agentVariantSchema = openObject({
  /** `<platform>-<arch>`. */
  name: z.string().max(64),
  platform: z.enum(AGENT_PLATFORMS),
  arch: z.enum(AGENT_ARCHS),
  /** The executable, as it is written to the device. */
  artifact: digestSchema,
}).refine((variant) => variant.name === agentVariantName(variant), { message: 'is not <platform>-<arch>', path: ['name'] });
export type AgentVariant = z.infer<typeof agentVariantSchema>;

export function agentVariantName({ platform, arch }: { readonly platform: string; readonly arch: string }): string {
  return `${platform}-${arch}`;
}

/**
 * The signed description of a release of the agent: one executable for each platform. It is a version of the reserved name
 * `skerry-agent`; its canonical JSON bytes are the TUF target `agent/<version>.json`.
 */
export const agentManifestSchema = openObject({
  schema: z.literal(MANIFEST_SCHEMA),
  /** Features without which the version would be misread (features.ts). */
  requires: featureListSchema.optional(),
  kind: z.literal('agent'),
  model: modelNameSchema.refine((name) => name === AGENT.name, `a release of the agent is called "${AGENT.name}"`),
  /** The release counter, by which releases are ordered. */
  version: versionNumberSchema.refine(
    (version) => version >= AGENT.firstVersion,
    `${PACKAGED_RELEASE} is the agent that came with a package`,
  ),
  /** The release as people call it. */
  release: releaseTextSchema,
  description: z.string().max(4096).optional(),
  /** Lowest release counter whose state this one can take over; `PACKAGED_RELEASE` for every one. */
  takesOverFrom: versionNumberSchema,
  variants: z.array(agentVariantSchema).min(1).max(LIMITS.variantsPerVersion),
  artifacts: z
    .array(artifactSchema.refine(({ length }) => length <= LIMITS.agentBytes, `larger than an agent may be, ${LIMITS.agentBytes} bytes`))
    .min(1),
}).superRefine((manifest, context) => {
  checkArtifactList(manifest, context);
  checkUniqueNames(manifest.variants, 'variants', context);
  checkNamesListed(manifest.variants, 'variants', manifest, context);
  if (manifest.takesOverFrom > manifest.version) {
    context.addIssue({ code: 'custom', path: ['takesOverFrom'], message: 'is above the release itself' });
  }
});
export type AgentManifest = z.infer<typeof agentManifestSchema>;
