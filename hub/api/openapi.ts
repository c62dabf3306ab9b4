import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';

/** Collects every route mounted after it into an OpenAPI 3.1 document, read by `app.swagger()`. */
export async function collectOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Skerry hub',
        description: 'Publishes models, looks after devices and says which of them should run what.',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'registry', description: 'Models, versions and artifacts.' },
        { name: 'trust', description: 'TUF metadata and the keys of the hub.' },
        { name: 'devices', description: 'Devices, enrolment and labels.' },
        { name: 'deployments', description: 'Which devices should run which version.' },
        { name: 'rollouts', description: 'Versions moved across cohorts in waves, watched by gates.' },
        { name: 'telemetry', description: 'What devices measured and what happened on them.' },
        { name: 'access', description: 'Tokens and the audit log.' },
        { name: 'system', description: 'The hub itself.' },
      ],
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'A token made with `skerry token create`.' } },
      },
    },
    exposeHeadRoutes: true,
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
}
