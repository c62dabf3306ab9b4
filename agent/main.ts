#!/usr/bin/env -S node --max-semi-space-size=1 --v8-pool-size=1
import { runCli } from '#shared/terminal/run-cli.js';
import { buildProgram } from './cli/program.js';

await runCli(buildProgram());
