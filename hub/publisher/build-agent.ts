import { type FileHandle, open } from 'node:fs/promises';
import { type AgentArch, type AgentPlatform, agentVariantName } from '#shared/bundle/agent-manifest.js';
import { cutArtifactFile } from '#shared/bundle/cut-artifact.js';
import { EXECUTABLE_HEADER_BYTES, type ExecutableFormat, readExecutableHeader } from '#shared/bundle/executable-header.js';
import { MANIFEST_SCHEMA } from '#shared/bundle/manifest-parts.js';
import { AGENT_MODEL, type VersionNumber } from '#shared/bundle/names.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { BuiltFile, BuiltRelease } from './build.js';

/** An executable as its header describes it. */
interface AgentExecutable {
  readonly path: string;
  readonly format: ExecutableFormat;
  readonly platform: AgentPlatform;
  readonly arch: AgentArch;
  readonly sizeBytes: number;
}

interface ReleaseRequest {
  /** One file for each platform. */
  readonly paths: readonly string[];
  /** What people call the release, such as 0.4.0. */
  readonly release: string;
  /** Lowest release counter whose state the release can take over. */
  readonly takesOverFrom: VersionNumber;
  readonly description?: string;
}

export type ReleaseStep =
  | { readonly kind: 'inspected'; readonly executable: AgentExecutable }
  | { readonly kind: 'cutting'; readonly variant: string; readonly read: number; readonly total: number };

/** Reads the headers of the executables and cuts them into chunks. `AGENT_EXECUTABLE_INVALID`, `INPUT_TOO_LARGE`, `IO_FAILED`. */
export async function buildRelease(request: ReleaseRequest, onStep: (step: ReleaseStep) => void = () => undefined): Promise<BuiltRelease> {
  const executables: AgentExecutable[] = [];
  for (const path of request.paths) {
    const executable = await inspectExecutable(path);
    const twin = executables.find((other) => agentVariantName(other) === agentVariantName(executable));
    if (twin !== undefined) {
      throw new SkerryError('AGENT_EXECUTABLE_INVALID', `${twin.path} and ${path} are both for ${agentVariantName(executable)}`);
    }
    executables.push(executable);
    onStep({ kind: 'inspected', executable });
  }
  // In one order, so that the same files are the same release however they were given.
  const sorted = executables.toSorted((a, b) => (agentVariantName(a) < agentVariantName(b) ? -1 : 1));
  const files: BuiltFile[] = [];
  for (const executable of sorted) {
    const { path, sizeBytes: total } = executable;
    const variant = agentVariantName(executable);
    files.push({ artifact: await cutArtifactFile(path, (read) => onStep({ kind: 'cutting', variant, read, total })), source: { path } });
  }
  const { release, takesOverFrom, description } = request;
  return {
    content: {
      schema: MANIFEST_SCHEMA,
      kind: 'agent',
      model: AGENT_MODEL,
      release,
      ...(description === undefined ? {} : { description }),
      takesOverFrom,
      variants: sorted.map((executable, index) => {
        const artifact = files[index]?.artifact.digest;
        if (artifact === undefined) throw new SkerryError('INTERNAL', `${executable.path} was not cut`);
        return { name: agentVariantName(executable), platform: executable.platform, arch: executable.arch, artifact };
      }),
      artifacts: files.map((file) => file.artifact),
    },
    files,
  };
}

/** What an executable is made for, by its header. */
async function inspectExecutable(path: string): Promise<AgentExecutable> {
  const { bytes, sizeBytes } = await readHead(path);
  if (sizeBytes > LIMITS.agentBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${path} has ${sizeBytes} bytes, an agent may have ${LIMITS.agentBytes}`);
  }
  const header = readExecutableHeader(bytes);
  if (header.kind !== 'executable')
    throw new SkerryError('AGENT_EXECUTABLE_INVALID', `${path} is no executable of the agent: ${header.why}`);
  const { format, platform, arch } = header;
  return { path, format, platform, arch, sizeBytes };
}

async function readHead(path: string): Promise<{ readonly bytes: Uint8Array; readonly sizeBytes: number }> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const buffer = new Uint8Array(EXECUTABLE_HEADER_BYTES);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return { bytes: buffer.subarray(0, bytesRead), sizeBytes: (await file.stat()).size };
  } catch (cause) {
    throw asSkerryError(cause, 'IO_FAILED');
  } finally {
    await file?.close();
  }
}
