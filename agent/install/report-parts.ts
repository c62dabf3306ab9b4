import type { DesiredModel } from '#shared/trust/desired.js';
import type { VersionRecord } from '#agent/store/contract.js';
import type { StepError } from './decide/install-step.js';

const MESSAGE_LENGTH = 2048;

/** An error as the reported state and events carry it. */
export function reportedError({ code, message }: StepError): StepError {
  return { code, message: message.slice(0, MESSAGE_LENGTH) };
}

/**
 * True for a version that is marked bad and wanted again under another attempt. It is reported as wanted at once, not only once its
 * record says so: the report that confirms the wish must not repeat the old refusal, which the hub would take for the answer to it.
 */
export function isWantedAgain(
  { version, manifest, install, attempt }: Pick<VersionRecord, 'version' | 'manifest' | 'install' | 'attempt'>,
  wish: Pick<DesiredModel, 'version' | 'manifest' | 'attempt'> | undefined,
): boolean {
  return install === 'bad' && wish?.version === version && wish.manifest === manifest && wish.attempt !== attempt;
}
