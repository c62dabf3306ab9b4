import { config } from 'zod';
import { buildProgram } from '#agent/cli/program.js';
import { runCli } from '#shared/terminal/run-cli.js';

// Entry of the single-file `skerry-agent`; the same as agent/main.ts without the top-level await a CommonJS script cannot have.
// zod would compile a function for every schema it meets; here most are met a few times.
config({ jitless: true });
void runCli(buildProgram());
