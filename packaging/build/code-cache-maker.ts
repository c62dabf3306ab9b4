import { readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import path from 'node:path';
import { Script } from 'node:vm';

// Run by code-cache.ts in the runtime of the target, with the options the executable will have: SCRIPT OFFSETS CACHE.
// Has the engine compile the functions of the script that lie at the offsets (ascending), and keeps what it made. Nothing of the script
// runs, so that the same script gives the same bytes, whatever the machine is like.
const [, , file = '', offsets = '', cache = ''] = process.argv;
const source = readFileSync(file, 'latin1');
// A copy of the name: a part of a longer string would take the whole of it, the folder of this build, into the cache.
const filename = Buffer.from(path.basename(file)).toString('latin1');
const script = new Script(source, { filename });
// Its value is the outermost function, which is not called; before that the debugger does not know of the script.
script.runInThisContext();

const lines = [0];
for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) lines.push(at + 1);

const session = new Session();
session.connect();
let scriptId = '';
session.on('Debugger.scriptParsed', ({ params }) => {
  if (params.url === filename) scriptId = params.scriptId;
});
await session.post('Debugger.enable');
let line = 0;
for (const offset of readFileSync(offsets, 'utf8')
  .split('\n')
  .filter((each) => each !== '')
  .map(Number)) {
  while ((lines[line + 1] ?? Number.POSITIVE_INFINITY) <= offset) line += 1;
  const start = { scriptId, lineNumber: line, columnNumber: offset - (lines[line] ?? 0) };
  // To say where one can stop in a range, the engine compiles every function it touches: this one and those around it.
  await session.post('Debugger.getPossibleBreakpoints', { start, end: { ...start, columnNumber: start.columnNumber + 1 } });
}
await session.post('Debugger.disable');
session.disconnect();
writeFileSync(cache, script.createCachedData());
