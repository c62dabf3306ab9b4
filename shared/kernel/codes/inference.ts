import { defineCodes } from './define.js';

export const inferenceCodes = defineCodes({
  INFERENCE_MODEL_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'No model of this name is loaded on the device.',
    action: 'Check the name against the list of models; deploy the model to this device if it should be here.',
  },
  INFERENCE_VERSION_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The model is loaded, but not in this version.',
    action: 'Use one of the versions the message lists, or leave the version out.',
  },
  INFERENCE_NOT_READY: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The model or version is not available at the moment; the message says in which state it is.',
    action: 'Retry in a moment; ask the ready endpoint when to.',
  },
  INFERENCE_OUTPUT_UNKNOWN: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output was asked for that the model does not have.',
    action: 'Use the names the message lists; the model metadata shows them too.',
  },
  INFERENCE_QUEUE_FULL: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'As many requests wait for the model as its queue may hold.',
    action: 'Retry with back-off, send less, or give the model more instances.',
  },
  INFERENCE_TIMEOUT: {
    fault: 'environment',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The prediction was not ready within the default time, or a longer one that the request named.',
    action: 'Allow more time, or send less; the message says whether the time passed waiting or computing.',
  },
  INFERENCE_TIMEOUT_SHORT: {
    fault: 'caller',
    status: 'DEADLINE_EXCEEDED',
    summary:
      'The prediction was not ready within the time the request named, which is shorter than the default; this does not count against the version.',
    action: 'Name a longer timeout, or none; the message says whether the time passed waiting or computing.',
  },
  INFERENCE_ABANDONED: {
    fault: 'caller',
    status: 'CANCELLED',
    summary: 'The caller went away before the prediction was started.',
    action: 'Nothing; send the request again if the answer is still wanted.',
  },
  INFERENCE_INPUT_REFUSED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary:
      'The runtime refused the inputs, or failed on them where it runs the golden sample of the version; the message is the runtime\u2019s and names the inputs.',
    action:
      'Send inputs that fit each other and the model: its metadata has names, types and shapes, its publisher knows which values it takes.',
  },
  INFERENCE_SHADOW_REFUSED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'A version that runs on copies of requests refused one that the serving version answered; the caller noticed nothing.',
    action: 'Compare the inputs of both versions; the log at level debug has the reason.',
  },
  INFERENCE_RUN_FAILED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'The model failed while it ran on these inputs.',
    action: 'Check the inputs against what the model expects; if they are right, report it to the publisher of the model.',
  },
  INFERENCE_OUTPUT_INVALID: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'The model gave an output that cannot be used: of another type, or not divisible over the requests of a batch.',
    action: 'Report it to the publisher of the model; batching needs outputs with one row for each input row.',
  },
  INFERENCE_NOT_FINITE: {
    fault: 'peer',
    status: 'INTERNAL',
    summary:
      'The model answered with NaN or infinities that no golden sample of the version shows in that output. The answer was given, and is counted as failed.',
    action: 'Check the inputs against what the model expects; if they are right, report it to the publisher of the model.',
  },
  INFERENCE_OUT_OF_MEMORY: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 503,
    summary: 'There was not enough memory to load or run the model.',
    action: 'Free memory on the device, send smaller inputs, or deploy a smaller variant.',
  },
  INFERENCE_INSTANCE_DIED: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'The worker that ran the model ended while the request was in it; it is being restarted.',
    action: 'Retry once; if it repeats, report it with the log lines around it.',
  },
  INFERENCE_CRASHED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'The native code of the model crashed; if a request was in it, the same inputs are refused for a while.',
    action: 'Do not send the same inputs again; report them with the signal in the message to the publisher of the model.',
  },
  INFERENCE_CRASHED_BEFORE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'These inputs crashed the model on this device a short time ago, so they are not run again for now.',
    action: 'Send other inputs, or wait until the time in the message; deploy a version that handles them.',
  },
  INFERENCE_STUCK: {
    fault: 'peer',
    status: 'DEADLINE_EXCEEDED',
    summary: 'The model did not come back within the time that a prediction or a load may take; its instance was replaced.',
    action:
      'Raise --prediction-limit or --load-limit if the model is slow, or send a longer timeout; otherwise report it to the publisher.',
  },
  INFERENCE_SERVABLE_FAILED: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    summary: 'This version cannot be served here: it did not load, failed its golden samples, or its workers ended too often.',
    action: 'Go back to another version, and report the message to the publisher of the model; trying again does not help.',
  },
  INFERENCE_MODEL_INVALID: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The runtime cannot load the model file.',
    action: 'Check that the file is a complete ONNX model whose operators this runtime version knows.',
  },
  INFERENCE_SIGNATURE_MISMATCH: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'Inputs or outputs of the model file differ from those the manifest declares.',
    action: 'Publish a version whose manifest describes its files; the message names the difference.',
  },
  INFERENCE_BATCHING_INVALID: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The manifest asks for batching, but an input or output has no varying first dimension.',
    action: 'Publish a version without batching, or with a model whose first dimension varies everywhere.',
  },
  INFERENCE_GOLDEN_INVALID: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'A golden sample cannot be used: it does not hold the inputs and outputs the manifest declares.',
    action: 'Publish a version with golden samples recorded from the model itself.',
  },
  INFERENCE_GOLDEN_MISMATCH: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The model does not give the outputs its golden sample expects; the details name sample, output and largest error.',
    action: 'Publish a corrected version; this one is never served on a device where the check fails.',
  },
  INFERENCE_PROVIDER_UNAVAILABLE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The execution provider cannot be used on this device.',
    action: 'Install its driver or library, or publish a variant that runs on cpu.',
  },
  INFERENCE_NO_PLACEMENT: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'No variant of the version can run on this device; the details say why each was left out.',
    action: 'Publish a variant for a provider the device has, or one that needs less memory.',
  },
  INFERENCE_VERSION_CONFLICT: {
    fault: 'ours',
    status: 'FAILED_PRECONDITION',
    summary: 'Another manifest of the same version is loaded.',
    action: 'Unload it first; a version has one manifest only, so report how there came to be two.',
  },
  INFERENCE_TRANSITION: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'A servable got an event its state does not accept.',
    action: 'Report it with the log lines around it.',
  },
});
