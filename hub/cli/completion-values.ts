import type { CompletionValues } from '#shared/terminal/completion.js';
import { type CliDeps, openHubCommand } from './deps.js';

/** Names that only the hub knows, for the shell's completion; without a hub there are none. */
export function completionValues(deps: CliDeps): CompletionValues {
  const models = async (): Promise<readonly string[]> => {
    const { hub } = await openHubCommand(deps, {});
    const { modelListSchema } = await import('../registry/views.js');
    return (await hub.get(modelListSchema, '/api/v1/models')).models.map((model) => model.name);
  };
  const versions = async (): Promise<readonly string[]> => {
    const { hub } = await openHubCommand(deps, {});
    const { modelListSchema } = await import('../registry/views.js');
    return (await hub.get(modelListSchema, '/api/v1/models')).models.map((model) => `${model.name}@${model.newest}`);
  };
  const devices = async (): Promise<readonly string[]> => {
    const { hub } = await openHubCommand(deps, {});
    const { deviceListSchema } = await import('../fleet/device-view.js');
    return (await hub.get(deviceListSchema, '/api/v1/devices')).devices.map((device) => device.id);
  };
  return { model: models, 'model[@version]': models, 'model@version': versions, device: devices };
}
