import type { Command } from 'commander';
import { type Clock, sleep } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { formatDuration } from '#shared/terminal/format.js';
import { printLine } from '#shared/terminal/output.js';
import type { ExitCode } from '#shared/terminal/run-cli.js';
import type { RolloutDetail } from '../rollouts/views.js';
import type { CommonFlags, HubCommand } from './deps.js';
import { patientReader } from './patience.js';
import { isTrial, readRollout, showOutcome, showRollout } from './rollout-show.js';
import { exitOf } from './rollout-view.js';

export interface WaitFlags extends CommonFlags {
  readonly wait?: boolean;
  readonly timeout: string;
}

const POLL: Millis = 1_000;
export const EXIT_CODES =
  '\nExit code with --wait: 0 when the rollout completed, 1 when it ended in another way, 3 when it waits for an operator.';

/** Options of commands after which one may stay and watch; `goal`: where it is to lead, when not to completion. */
export function addWaitOptions(command: Command, goal?: RolloutDetail['state']): Command {
  return command
    .option('--wait', 'Show progress until the rollout ends or waits for an operator.')
    .option('--timeout <duration>', 'With --wait: maximum time to wait.', '24h')
    .addHelpText('after', goal === undefined ? EXIT_CODES : EXIT_CODES.replace('completed', `is ${goal}`));
}

/** Prints the rollout whenever it changed, until it ends or waits for a person; with `--json` its last state only. */
export async function follow(
  command: HubCommand,
  id: string,
  timeout: Millis,
  clock: Clock,
  goal: RolloutDetail['state'] = 'completed',
): Promise<ExitCode> {
  const begun = clock.monotonic();
  const read = patientReader(command.out, () => readRollout(command, id));
  let shown = '';
  let state: RolloutDetail['state'] | undefined;
  for (;;) {
    const rollout = await read();
    if (rollout !== undefined) {
      state = rollout.state;
      const exit = exitOf(state, goal);
      const view = JSON.stringify([state, rollout.wave, rollout.waveViews, rollout.outlook?.results.map((result) => result.outcome)]);
      if (exit !== undefined || (view !== shown && !command.out.json)) {
        if (shown !== '') printLine(command.out);
        showRollout(command.out, rollout, clock, { notes: shown === '' });
      }
      shown = view;
      if (exit !== undefined) {
        if (isTrial(rollout) && !command.out.json) await showOutcome(command, id);
        return exit;
      }
    }
    if (clock.monotonic() - begun > timeout) throw incomplete(id, state, timeout);
    await sleep(clock, POLL);
  }
}

function incomplete(id: string, state: RolloutDetail['state'] | undefined, timeout: Millis): SkerryError {
  return new SkerryError('ROLLOUT_INCOMPLETE', `after ${formatDuration(timeout)} ${id} is still ${state}`, {
    details: { rollout: id, state },
  });
}
