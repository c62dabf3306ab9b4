import { Command } from 'commander';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { addCompletion } from '#shared/terminal/completion.js';
import { addAccess } from './access.js';
import { addDoctor } from './doctor.js';
import { addEnroll } from './enroll.js';
import { addLaunch } from './launch.js';
import { addModels } from './models.js';
import { addPredict } from './predict.js';
import { addRun } from './run.js';
import { addServe } from './serve.js';
import { addStatus } from './status.js';
import { dataFolder } from '../config.js';

/** The `skerry-agent` program. What a command needs is loaded when it runs, so that `--help` is quick. */
export function buildProgram(): Command {
  const program = new Command('skerry-agent')
    .description('Runs the models of one device, with or without a network, and installs the versions that the hub deploys.')
    .version(SKERRY_VERSION, '-V, --version', 'Print the version.')
    .addHelpText(
      'after',
      `
A first device:
  skerry token create                                      (on the hub; prints TOKEN)
  skerry-agent enroll --hub http://127.0.0.1:7480 --token TOKEN --label site=lab
  skerry-agent run
  skerry-agent status
  skerry-agent predict vad --input input=@audio.json

Without a hub:
  skerry-agent serve model.onnx

Every command takes --data DIR for the data folder of another agent. Commands that print results take --json.
Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 partly done.`,
    );
  addEnroll(program);
  addRun(program);
  addLaunch(program);
  addServe(program);
  addStatus(program);
  addModels(program);
  addPredict(program);
  addDoctor(program);
  addAccess(program);
  addCompletion(program, { model: servedModels });
  return program;
}

/** For shell completion. */
async function servedModels(): Promise<readonly string[]> {
  const api = await import('./local-api.js');
  return api.servedModels(dataFolder({ flags: {}, env: process.env }));
}
