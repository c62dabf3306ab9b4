import type { Command } from 'commander';
import type { CliDeps } from './deps.js';

/** A command as `skerry --help` knows it; what it takes and does is loaded when it is asked for. */
export interface LazyCommand {
  readonly name: string;
  readonly description: string;
  readonly register: (program: Command, deps: CliDeps) => Promise<void>;
}

/** Every command, in the order of the help. The descriptions are those of the commands themselves (a test compares them). */
export const COMMANDS: readonly LazyCommand[] = [
  {
    name: 'hub',
    description: 'run a hub (broker, database and storage inside)',
    register: async (program, deps) => (await import('./hub-run.js')).registerHubCommands(program, deps),
  },
  {
    name: 'login',
    description: 'keep the address of a hub and a token for the commands that follow',
    register: async (program, deps) => (await import('./login.js')).registerLoginCommand(program, deps),
  },
  {
    name: 'trust',
    description: 'keys and signed metadata: who may publish what',
    register: async (program, deps) => (await import('./trust.js')).registerTrustCommands(program, deps),
  },
  {
    name: 'inspect',
    description: 'show what an ONNX model takes and gives, its operators, and what its exporter noted',
    register: async (program, deps) => (await import('./inspect.js')).registerInspectCommand(program, deps.output),
  },
  {
    name: 'publish',
    description: 'inspect, sign and upload a version of a model',
    register: async (program, deps) => (await import('./publish.js')).registerPublishCommand(program, deps),
  },
  {
    name: 'publish-agent',
    description: 'sign and upload a release of the agent itself',
    register: async (program, deps) => (await import('./publish-agent.js')).registerPublishAgentCommand(program, deps),
  },
  {
    name: 'model',
    description: 'models and their versions',
    register: async (program, deps) => (await import('./model.js')).registerModelCommands(program, deps),
  },
  {
    name: 'token',
    description: 'tokens for people, programs and devices to enrol with',
    register: async (program, deps) => (await import('./token.js')).registerTokenCommands(program, deps),
  },
  {
    name: 'device',
    description: 'the devices of the fleet',
    register: async (program, deps) => (await import('./device.js')).registerDeviceCommands(program, deps),
  },
  {
    name: 'deploy',
    description: 'say which devices should run a version; those that join later and match take it too',
    register: async (program, deps) => (await import('./deploy.js')).registerDeployCommand(program, deps),
  },
  {
    name: 'undeploy',
    description: 'take a model off devices; those that join later and match do not get it either',
    register: async (program, deps) => (await import('./deployment.js')).registerUndeployCommand(program, deps),
  },
  {
    name: 'deployment',
    description: 'what was deployed to whom, and how to take it back',
    register: async (program, deps) => (await import('./deployment.js')).registerDeploymentCommands(program, deps),
  },
  {
    name: 'rollout',
    description: 'move a version across devices in waves that watch themselves',
    register: async (program, deps) => (await import('./rollout.js')).registerRolloutCommands(program, deps),
  },
  {
    name: 'cohort',
    description: 'label selectors saved under names, for rollouts',
    register: async (program, deps) => (await import('./cohort.js')).registerCohortCommands(program, deps),
  },
  {
    name: 'metrics',
    description: 'show what the versions of a model did on all devices: predictions, failures, latencies',
    register: async (program, deps) => (await import('./metrics.js')).registerMetricsCommand(program, deps),
  },
  {
    name: 'events',
    description: 'show what happened on the devices, oldest first',
    register: async (program, deps) => (await import('./events.js')).registerEventsCommand(program, deps),
  },
  {
    name: 'audit',
    description: 'show who changed what, when and from where',
    register: async (program, deps) => (await import('./audit.js')).registerAuditCommand(program, deps),
  },
  {
    name: 'openapi',
    description: 'print the OpenAPI document of the hub',
    register: async (program, deps) => (await import('./openapi.js')).registerOpenApiCommand(program, deps),
  },
];
