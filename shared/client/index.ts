// What `import ... from 'skerry/client'` gives.
export { SkerryError } from '#shared/kernel/errors.js';
export type { Datatype } from '#shared/tensor/datatype.js';
export type { Tensor, TensorSpec } from '#shared/tensor/tensor.js';
export type { IndexEntry, ModelMetadata, ModelStatistics, Parameters, RequestedOutput, ServerMetadata } from './calls.js';
export { Client, Prediction } from './client.js';
export type { CallOptions, InferOptions, LoadOptions, UnloadOptions, VersionOptions } from './client.js';
export { connect } from './connect.js';
export type { ConnectOptions, TlsOptions } from './connect.js';
export { OutputTensor } from './output-tensor.js';
export type { ValuesOf } from './output-tensor.js';
export type { Elements, Input } from './values.js';
