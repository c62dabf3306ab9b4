import type { CompletionValues } from '#shared/terminal/completion.js';
import type { HubClient } from './client.js';
import type { CliDeps } from './deps.js';

/** Names that only the hub knows, for the shell's completion; without a hub there are none. */
export function completionValues(deps: CliDeps): CompletionValues {
  const open = async (): Promise<HubClient> => (await (await import('./deps.js')).openHubCommand(deps, {})).hub;
  const list = async (): Promise<readonly { readonly name: string; readonly newest: number }[]> => {
    const { modelListSchema } = await import('../registry/views.js');
    return (await (await open()).get(modelListSchema, '/api/v1/models')).models;
  };
  const models = async (): Promise<readonly string[]> => (await list()).map((model) => model.name);
  const versions = async (): Promise<readonly string[]> => (await list()).map((model) => `${model.name}@${model.newest}`);
  const devices = async (): Promise<readonly string[]> => {
    const { deviceListSchema } = await import('../fleet/device-view.js');
    return (await (await open()).get(deviceListSchema, '/api/v1/devices')).devices.map((device) => device.id);
  };
  const rollouts = async (): Promise<readonly string[]> => {
    const { rolloutListSchema } = await import('../rollouts/views.js');
    return (await (await open()).get(rolloutListSchema, '/api/v1/rollouts')).rollouts.map((rollout) => rollout.id);
  };
  return { model: models, 'model[@version]': models, 'model@version': versions, device: devices, rollout: rollouts };
}
