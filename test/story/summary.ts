import { fileURLToPath } from 'node:url';
import { shellQuote } from '#shared/terminal/shell-quote.js';
import type { StepRecord } from './report.js';
import type { Scene } from './scene.js';

/** Where the build puts the commands. */
const COMMANDS = fileURLToPath(new URL('../../bin', import.meta.url));

/** The end of the story: what held and the figures; where to look, when everything stays up. */
export function tellSummary({ fleet, tell }: Scene, records: readonly StepRecord[], steps: number, staysUp: boolean): void {
  tell.title('What was shown');
  for (const record of records) tell.check(record.name, record.held, `${record.seconds} s`);
  for (let i = records.length; i < steps; i += 1) tell.failure('a step that was not reached');
  const figures = records.flatMap((record) => Object.entries(record.figures));
  if (figures.length > 0) tell.title('Figures of this run');
  for (const [name, value] of figures)
    tell.detail(`${name.padEnd(24)} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`);
  if (!staysUp) return;
  tell.title('Where to look');
  tell.say(`API document   ${fleet.hub.url}/api/v1/openapi.json`);
  tell.say(`hub metrics    ${fleet.hub.url}/metrics`);
  tell.say(`logs and data  ${fleet.folder}`);
  for (const agent of fleet.agents.slice(0, 3)) tell.say(`${agent.name.padEnd(14)} ${agent.url}/v2/models/vad  and  ${agent.url}/metrics`);
  tell.say(tell.paint('dim', 'by hand:'));
  tell.say(
    `export PATH=${shellQuote(COMMANDS)}:$PATH SKERRY_HUB=${fleet.hub.url} SKERRY_TOKEN=$(cat ${shellQuote(`${fleet.hubData}/admin.token`)})`,
  );
  tell.say('skerry device list');
}
