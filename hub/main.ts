#!/usr/bin/env node
import { runCli } from '#shared/terminal/run-cli.js';
import { buildProgram } from './cli/program.js';

await runCli(await buildProgram(process.env, process.argv.slice(2)));
