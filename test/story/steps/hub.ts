import type { Step } from '../scene.js';

export const hubStep: Step = {
  name: 'A hub starts, and a publisher makes the root of trust',
  async run({ fleet, tell }, notes) {
    await fleet.startHub();
    tell.say(
      `The hub serves ${fleet.hub.url}, its embedded MQTT broker port ${fleet.mqttPort}, its database and artifacts lie in one folder.`,
    );
    await fleet.initTrust();
    tell.say('Root and publisher keys are in a folder of the publisher that the hub never reads; the hub holds keys of its own.');
    const root = (await (await fetch(`${fleet.hub.url}/api/v1/trust/metadata/1.root.json`, { headers: auth(fleet.hub.token) })).json()) as {
      signed: { roles: Record<string, { keyids: string[]; threshold: number }> };
    };
    for (const [role, { keyids, threshold }] of Object.entries(root.signed.roles)) {
      tell.detail(`${role.padEnd(10)} ${threshold} of ${keyids.map((id) => `${id.slice(0, 12)}…`).join(', ')}`);
    }
    notes.check('the hub answers, and knows a signed root', Object.keys(root.signed.roles).length === 4);
  },
};

function auth(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
