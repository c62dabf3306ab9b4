import { SkerryError } from '#shared/kernel/errors.js';
import { PROJECT_ROOT, runTool } from './tools.js';

/** The time stamp everything in a package carries, in seconds: SOURCE_DATE_EPOCH, else the time of the commit that is built. */
export async function sourceEpoch(): Promise<number> {
  const given = process.env['SOURCE_DATE_EPOCH'];
  const text = given ?? (await runTool('git', ['log', '-1', '--format=%ct'], { cwd: PROJECT_ROOT }).catch(() => ''));
  const epoch = Number(text.trim());
  if (!Number.isSafeInteger(epoch) || epoch <= 0) {
    throw new SkerryError('PACKAGE_USAGE', 'there is no commit to take the time from, and SOURCE_DATE_EPOCH is not a number of seconds');
  }
  return epoch;
}
