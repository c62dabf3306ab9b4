import type { Command } from 'commander';
import type { CliDeps } from './deps.js';

/** A command as `skerry --help` knows it; what it takes and does is loaded when it is asked for. */
interface LazyCommand {
  readonly name: string;
  readonly description: string;
  readonly register: (program: Command, deps: CliDeps) => Promise<void>;
}

/** Every command, in the order of the help. The descriptions are those of the commands themselves (a test compares them). */
export const COMMANDS: readonly LazyCommand[] = [
  {
    name: 'hub',
    description: 'Run a hub, with broker, database and storage inside.',
    register: async (program, deps) => (await import('./hub-run.js')).registerHubCommands(program, deps),
  },
  {
    name: 'login',
    description: 'Save the address of a hub and a token for later commands.',
    register: async (program, deps) => (await import('./login.js')).registerLoginCommand(program, deps),
  },
  {
    name: 'trust',
    description: 'Manage keys and signed metadata: who may publish what.',
    register: async (program, deps) => (await import('./trust.js')).registerTrustCommands(program, deps),
  },
  {
    name: 'inspect',
    description: 'Show the inputs, outputs, operators and metadata of an ONNX model.',
    register: async (program, deps) => (await import('./inspect.js')).registerInspectCommand(program, deps.output),
  },
  {
    name: 'publish',
    description: 'Publish a version of a model: inspect, sign and upload it.',
    register: async (program, deps) => (await import('./publish.js')).registerPublishCommand(program, deps),
  },
  {
    name: 'publish-agent',
    description: 'Publish a release of the agent: sign and upload its executables.',
    register: async (program, deps) => (await import('./publish-agent.js')).registerPublishAgentCommand(program, deps),
  },
  {
    name: 'model',
    description: 'List, show and delete models and their versions.',
    register: async (program, deps) => (await import('./model.js')).registerModelCommands(program, deps),
  },
  {
    name: 'token',
    description: 'Create, list and revoke tokens for people, programs and enrolment.',
    register: async (program, deps) => (await import('./token.js')).registerTokenCommands(program, deps),
  },
  {
    name: 'device',
    description: 'List, show and manage devices.',
    register: async (program, deps) => (await import('./device.js')).registerDeviceCommands(program, deps),
  },
  {
    name: 'deploy',
    description: 'Deploy a version to devices, and to matching devices that join later.',
    register: async (program, deps) => (await import('./deploy.js')).registerDeployCommand(program, deps),
  },
  {
    name: 'undeploy',
    description: 'Remove a model from devices, and from matching devices that join later.',
    register: async (program, deps) => (await import('./deployment.js')).registerUndeployCommand(program, deps),
  },
  {
    name: 'deployment',
    description: 'Show and withdraw deployments.',
    register: async (program, deps) => (await import('./deployment.js')).registerDeploymentCommands(program, deps),
  },
  {
    name: 'rollout',
    description: 'Roll out a version in waves, each checked by gates.',
    register: async (program, deps) => (await import('./rollout.js')).registerRolloutCommands(program, deps),
  },
  {
    name: 'cohort',
    description: 'Manage cohorts: named label selectors for rollouts.',
    register: async (program, deps) => (await import('./cohort.js')).registerCohortCommands(program, deps),
  },
  {
    name: 'metrics',
    description: 'Show predictions, failures, latencies and other signals of the versions of a model on all devices.',
    register: async (program, deps) => (await import('./metrics.js')).registerMetricsCommand(program, deps),
  },
  {
    name: 'events',
    description: 'Show events of the devices, oldest first.',
    register: async (program, deps) => (await import('./events.js')).registerEventsCommand(program, deps),
  },
  {
    name: 'audit',
    description: 'Show who changed what, when and from where.',
    register: async (program, deps) => (await import('./audit.js')).registerAuditCommand(program, deps),
  },
  {
    name: 'openapi',
    description: 'Print the OpenAPI document of the hub.',
    register: async (program, deps) => (await import('./openapi.js')).registerOpenApiCommand(program, deps),
  },
];
