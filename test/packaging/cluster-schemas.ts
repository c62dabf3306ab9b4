import { z } from 'zod';

// The part of the published schemas that packaging/kubernetes uses, field by field and strictly: a name that is not in the
// schema fails here, as it would be dropped or refused there. Sources: Kubernetes API reference (core/v1, apps/v1); KServe's types
// pkg/apis/serving/v1alpha1/servingruntime_types.go, pkg/apis/serving/v1beta1/{predictor_model,predictor,component}.go and
// config/crd/full/serving.kserve.io_servingruntimes.yaml (Apache-2.0), as of 2026.

const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
const labels = z.record(z.string(), z.string().max(63));
const quantity = z.union([z.int(), z.string().regex(/^[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?$/)]);
const resources = z.strictObject({
  requests: z.record(z.string(), quantity).optional(),
  limits: z.record(z.string(), quantity).optional(),
});
const port = z.union([z.int().min(1).max(65_535), name]);
const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string().startsWith('/'), port, scheme: z.enum(['HTTP', 'HTTPS']).optional() }),
  periodSeconds: z.int().min(1).optional(),
  failureThreshold: z.int().min(1).optional(),
});
const container = z.strictObject({
  name,
  image: z.string().regex(/^[a-z0-9./-]+:[\w.-]+$/, 'an image with its tag'),
  args: z.array(z.string()).optional(),
  env: z
    .array(
      z.union([
        z.strictObject({ name: z.string(), value: z.string() }),
        z.strictObject({ name: z.string(), valueFrom: z.strictObject({ secretKeyRef: z.strictObject({ name, key: z.string() }) }) }),
      ]),
    )
    .optional(),
  ports: z
    .array(z.strictObject({ name: name.optional(), containerPort: z.int(), protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional() }))
    .optional(),
  startupProbe: probe.optional(),
  readinessProbe: probe.optional(),
  livenessProbe: probe.optional(),
  resources: resources.optional(),
  securityContext: z
    .strictObject({
      allowPrivilegeEscalation: z.boolean(),
      readOnlyRootFilesystem: z.boolean(),
      capabilities: z.strictObject({ drop: z.array(z.string()) }),
    })
    .optional(),
  volumeMounts: z.array(z.strictObject({ name, mountPath: z.string().startsWith('/'), readOnly: z.boolean().optional() })).optional(),
});
const volume = z.union([
  z.strictObject({ name, emptyDir: z.strictObject({}) }),
  z.strictObject({ name, secret: z.strictObject({ secretName: name }) }),
]);
const metadata = z.strictObject({ name, labels: labels.optional() });

const service = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata,
  spec: z.strictObject({ selector: labels, ports: z.array(z.strictObject({ name, port: z.int(), targetPort: port })) }),
});

const statefulSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('StatefulSet'),
  metadata,
  spec: z.strictObject({
    serviceName: name,
    replicas: z.int().min(0),
    selector: z.strictObject({ matchLabels: labels }),
    template: z.strictObject({
      metadata: z.strictObject({ labels }),
      spec: z.strictObject({
        automountServiceAccountToken: z.boolean(),
        securityContext: z.strictObject({
          runAsNonRoot: z.boolean(),
          runAsUser: z.int(),
          runAsGroup: z.int(),
          fsGroup: z.int(),
          seccompProfile: z.strictObject({ type: z.enum(['RuntimeDefault', 'Localhost', 'Unconfined']) }),
        }),
        containers: z.array(container).min(1),
        volumes: z.array(volume),
      }),
    }),
    volumeClaimTemplates: z.array(
      z.strictObject({ metadata, spec: z.strictObject({ accessModes: z.array(z.literal('ReadWriteOnce')), resources }) }),
    ),
  }),
});

const formatVersion = z.string().regex(/^\d+(\.\d+){0,2}$/);
const protocol = z.enum(['v1', 'v2', 'grpc-v1', 'grpc-v2']);

const servingRuntime = z.strictObject({
  apiVersion: z.literal('serving.kserve.io/v1alpha1'),
  kind: z.literal('ServingRuntime'),
  metadata,
  spec: z.strictObject({
    supportedModelFormats: z.array(
      z.strictObject({
        name: z.string(),
        version: formatVersion.optional(),
        autoSelect: z.boolean().optional(),
        priority: z.int().min(1).optional(),
      }),
    ),
    protocolVersions: z.array(protocol),
    containers: z.array(container).min(1),
    volumes: z.array(volume),
  }),
});

const inferenceService = z.strictObject({
  apiVersion: z.literal('serving.kserve.io/v1beta1'),
  kind: z.literal('InferenceService'),
  metadata,
  spec: z.strictObject({
    predictor: z.strictObject({
      minReplicas: z.int().min(0),
      maxReplicas: z.int().min(1),
      model: z.strictObject({
        runtime: name,
        protocolVersion: protocol,
        modelFormat: z.strictObject({ name: z.string(), version: formatVersion.optional() }),
      }),
    }),
  }),
});

/** Any document of packaging/kubernetes. */
export const clusterDocument = z.discriminatedUnion('kind', [service, statefulSet, servingRuntime, inferenceService]);
export type ClusterDocument = z.infer<typeof clusterDocument>;
