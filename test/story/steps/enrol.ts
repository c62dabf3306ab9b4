import { until } from '../../kit/until.js';
import { devicesOf } from '../hub-view.js';
import type { Step } from '../scene.js';

export const enrolStep: Step = {
  name: 'Devices enrol: one process, one folder, one key each',
  async run({ fleet, tell, devices, signal }, notes) {
    for (let i = 0; i < devices; i += 1) {
      const site = i < Math.ceil(devices * 0.4) ? 'lab' : 'field';
      const agent = await fleet.enrol(`${site}-${i + 1}`, { site });
      tell.detail(`${agent.name.padEnd(9)} pid ${String(agent.process.pid).padEnd(8)} ${agent.url}`);
    }
    const online = await until(
      'every device to be online',
      async () => {
        const views = await devicesOf(fleet);
        return views.filter((view) => view.presence.state === 'online').length === devices && views;
      },
      { signal },
    );
    notes.check(`the hub sees ${devices} devices online`, online.length === devices, online.map((view) => view.id).join(', '));
  },
};
