import path from 'node:path';
import { buildProgram } from '#hub/cli/program.js';
import { defaultDataDir, HUB_SETTINGS } from '#hub/config.js';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { runCli } from '#shared/terminal/run-cli.js';

// Entry of the single-file `skerry`; as hub/main.ts, without the top-level await a CommonJS script cannot have.
// Commands that are no hub (publish, inspect) unpack what they need where a hub of this user would.
try {
  keepNativePartsBelow(path.resolve(process.env[HUB_SETTINGS.dataDir.env] ?? defaultDataDir(process.env)));
} catch {
  // A user without a home folder: only a command that needs one has to be told.
}
void buildProgram(process.env, process.argv.slice(2)).then((program) => runCli(program));
