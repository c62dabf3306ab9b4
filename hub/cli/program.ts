import { Command } from 'commander';

import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { addCompletion } from '#shared/terminal/completion.js';
import { createOutput } from '#shared/terminal/output.js';
import { registerAuditCommand } from './audit.js';
import { completionValues } from './completion-values.js';
import { type Env, resolveHub } from './context.js';
import { registerDeployCommand } from './deploy.js';
import type { CliDeps } from './deps.js';
import { registerDeviceCommands } from './device.js';
import { registerEventsCommand } from './events.js';
import { foregroundClock } from './foreground-clock.js';
import { registerHubCommands } from './hub-run.js';
import { registerInspectCommand } from './inspect.js';
import { registerLoginCommand } from './login.js';
import { registerMetricsCommand } from './metrics.js';
import { registerModelCommands } from './model.js';
import { registerOpenApiCommand } from './openapi.js';
import { registerPublishCommand } from './publish.js';
import { registerTokenCommands } from './token.js';
import { registerTrustCommands } from './trust.js';

/** The `skerry` program: every command, each loading what it needs when it runs. */
export function buildProgram(env: Env): Command {
  const deps: CliDeps = {
    env,
    clock: foregroundClock,
    output: (json) => createOutput({ json, env }),
    resolveHub: (flags) => resolveHub(flags, env),
  };
  const program = new Command('skerry')
    .description('Puts machine-learning models on fleets of devices and keeps them right.')
    .version(SKERRY_VERSION)
    .addHelpText(
      'after',
      [
        '\nA first model on a first device:',
        '  skerry hub                                      # runs until Ctrl-C; the rest goes in a second terminal',
        '  skerry trust init --keys ./publisher            # whose models devices trust',
        '  skerry publish model.onnx --name vad            # sign and upload version 1',
        '  skerry token create --label site=lab            # lets a device in: skerry-agent enroll',
        '  skerry deploy vad@1 --to site=lab --wait',
        '\nExit codes: 0 done, 1 failed, 2 called wrongly, 3 done in part.',
      ].join('\n'),
    );
  registerHubCommands(program, deps);
  registerLoginCommand(program, deps);
  registerTrustCommands(program, deps);
  registerInspectCommand(program, deps.output);
  registerPublishCommand(program, deps);
  registerModelCommands(program, deps);
  registerTokenCommands(program, deps);
  registerDeviceCommands(program, deps);
  registerDeployCommand(program, deps);
  registerMetricsCommand(program, deps);
  registerEventsCommand(program, deps);
  registerAuditCommand(program, deps);
  registerOpenApiCommand(program, deps);
  addCompletion(program, completionValues(deps));
  return program;
}
