import { kindNamed } from '#shared/bundle/kinds.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { DesiredSource } from '#agent/install/ports.js';

/** The desired state as the manager of models is to see it: without the agent's own release. */
export function desiredOfModels(source: DesiredSource): DesiredSource {
  const split = (desired: DesiredState): DesiredState => ({
    ...desired,
    models: desired.models.filter(({ model }) => kindNamed(model) === 'model'),
  });
  return {
    current: () => {
      const desired = source.current();
      return desired === undefined ? undefined : split(desired);
    },
    onAccepted: (listener) => source.onAccepted((desired) => listener(split(desired))),
  };
}
