const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Maxima of what comes in from outside (R7); one that a single file is concerned with may stand there. Bytes unless the name says otherwise. */
export const LIMITS = {
  manifestBytes: 8 * MiB,
  artifactBytes: 64 * GiB,
  /** A model that is held in memory while it is loaded, because its inputs or outputs are rewritten. */
  rewrittenModelBytes: 1 * GiB,
  /** One executable of the agent. */
  agentBytes: 1 * GiB,
  variantsPerVersion: 16,
  goldenSamplesPerVersion: 64,
  goldenSampleBytes: 64 * MiB,
  /** Inputs of a model, and outputs. Exported graphs with a cache for each layer have hundreds. */
  tensorsPerModel: 4096,
  /** Name of an input or output. Exporters write whole paths. */
  tensorNameBytes: 1024,
  tensorRank: 16,
  /** Elements of one tensor. */
  tensorElements: 64 * MiB,
  /** Header of a safetensors file. */
  safetensorsHeaderBytes: 32 * MiB,
  /** Header of an npy file; those of NumPy have some hundred bytes. */
  npyHeaderBytes: 64 * KiB,
  /** Text written as npy, where every element takes the room of the longest. */
  npyTextBytes: 256 * MiB,
  nameLength: 128,
  /** Longest id of a prediction request, and of the sequence that it belongs to. */
  requestIdLength: 1024,
  /** Request to load a model, with its files in base64. */
  repositoryLoadBytes: 256 * MiB,
  /** Addresses of its broker that a hub announces. */
  brokerAddresses: 8,
  /** Features a document requires, or a device has. */
  features: 64,
  labelsPerDevice: 64,
  labelLength: 63,
  modelsPerDevice: 256,
  /** Versions a device remembers something of that it holds nowhere else: failures, behaviour, counts since the start. Oldest evicted. */
  rememberedVersions: 1024,
  /** Models of which it does. */
  rememberedModels: 1024,
  rolloutBytes: 256 * KiB,
  rolloutRecordBytes: 256 * MiB,
  /** Devices taken out of a rollout by one request. */
  excludedAtOnce: 1_000,
  selectorLength: 4096,
  selectorRequirements: 64,
  selectorValues: 256,
  /** Content-defined chunks; the largest still fits the 128 KiB message limit of the strictest hosted MQTT brokers. */
  chunkMinBytes: 16 * KiB,
  chunkTargetBytes: 64 * KiB,
  chunkMaxBytes: 120 * KiB,
  /** Pieces of a TUF target (a manifest), cut at fixed offsets. */
  targetPieceBytes: 96 * KiB,
  trustFileBytes: 4 * MiB,
  trustFiles: 10_240,
  /** Models of a publisher; each has a targets role of its own. */
  modelsPerPublisher: 4096,
  /** Targets roles that a snapshot names: publishers, their models, and those that were removed. */
  targetsRoles: 8192,
  /** What a publisher's command signed and has not delivered: its files, their base64, a manifest. */
  outgoingBytes: 128 * MiB,
  /** Publishers that a device reports as unavailable, at most. */
  reportedPublishers: 16,
  desiredBytes: 256 * KiB,
  controlMessageBytes: 128 * KiB,
  reportedBytes: 256 * KiB,
  telemetryBytes: 128 * KiB,
  /** Predictions, failures or measured values one window may claim; keeps sums far from 2^53. */
  countPerWindow: 1_000_000_000,
  eventBytes: 32 * KiB,
  /** Carries a bitmap with a bit for every piece of a blob. */
  fetchBytes: 768 * KiB,
  /** Signed files a device shows a hub that lost them. */
  heldBytes: 768 * KiB,
  apiBodyBytes: 16 * MiB,
  inferBodyBytes: 64 * MiB,
  /** Inputs of one request that are read from shared memory: as much as the elements of one tensor may take. */
  regionBytes: 512 * MiB,
  /** Bodies of all inference requests in flight, unless the agent is set otherwise. */
  bodyMemoryBytes: 1 * GiB,
  /** Tensor elements that an inference request or its answer may carry as JSON, unless the agent is set otherwise. */
  jsonElements: 4 * MiB,
  /** Nesting of a JSON document of an inference request; values and lengths of strings in it outside of tensors. */
  jsonDepth: 64,
  jsonValues: 256 * KiB,
  jsonStringBytes: 1 * MiB,
  /** Rest of a request body that is read and dropped, so that the connection can be kept after an early answer. */
  keepAliveDrainBytes: 1 * MiB,
  /** Inputs that are refused because they crashed a model, and versions remembered because they did. */
  refusedInputs: 256,
  crashedVersions: 256,
  /** What the application says of an answer. */
  feedbackBytes: 16 * KiB,
} as const;
