import type { StepRecord } from './report.js';
import type { Scene } from './scene.js';

/** The end of the story: what held, the figures, where to look. */
export function tellSummary({ fleet, tell }: Scene, records: readonly StepRecord[], steps: number): void {
  tell.title('What was shown');
  for (const record of records) tell.check(record.name, record.held, `${record.seconds} s`);
  for (let i = records.length; i < steps; i += 1) tell.failure('a step that was not reached');
  const figures = records.flatMap((record) => Object.entries(record.figures));
  if (figures.length > 0) tell.title('Figures of this run');
  for (const [name, value] of figures)
    tell.detail(`${name.padEnd(24)} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`);
  if (records.length < steps) return;
  tell.title('Where to look');
  tell.say(`API document   ${fleet.hub.url}/api/v1/openapi.json`);
  tell.say(`hub metrics    ${fleet.hub.url}/metrics`);
  tell.say(`logs and data  ${fleet.folder}`);
  for (const agent of fleet.agents.slice(0, 3)) tell.say(`${agent.name.padEnd(14)} ${agent.url}/v2/models/vad  and  ${agent.url}/metrics`);
  tell.say(tell.paint('dim', 'by hand:'));
  tell.say(`export SKERRY_HUB=${fleet.hub.url} SKERRY_TOKEN=$(cat ${fleet.hubData}/admin.token)`);
  tell.say('npx skerry device list');
}
