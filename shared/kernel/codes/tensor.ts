import { defineCodes } from './define.js';

export const tensorCodes = defineCodes({
  TENSOR_UNKNOWN: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The request names a tensor that the model does not have.',
    action: 'Use the names that the message lists. The model metadata shows them, too.',
  },
  TENSOR_MISSING: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor that the model needs is missing.',
    action: 'Add the tensor that the message names, with the given datatype and shape.',
  },
  TENSOR_DATATYPE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor has a different datatype than the model declares.',
    action: 'Convert the data to the datatype that the message names.',
  },
  TENSOR_SHAPE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor has an invalid shape, or one that differs from the shape that the model declares.',
    action: 'Send the shape that the message names; -1 stands for a dynamic dimension.',
  },
  TENSOR_EMPTY: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An input has a dimension of size 0, but no golden sample of the version has one there. The runtime might crash on it.',
    action:
      'Send at least one element. If the model accepts empty inputs, publish it with a golden sample (`skerry publish --golden`) of that size.',
  },
  TENSOR_DATA: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The data of a tensor does not fit its datatype and shape.',
    action: 'Correct the element, count or byte length that the message names.',
  },
  TENSOR_STRING: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The runtime cannot take a string element unchanged: it has a NUL character, or bytes that are not UTF-8.',
    action: 'Send UTF-8 text without NUL. Send other bytes as a UINT8 tensor or as base64, if the model takes that.',
  },
  TENSOR_STRING_OUTPUT: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'The model returned a string that is not UTF-8, and the runtime altered it.',
    action:
      'Export the model with UTF-8 labels, or omit that output. If the model really returns U+FFFD, publish it with a golden sample that shows it.',
  },
  TENSOR_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 413,
    summary: 'A tensor has more elements than the maximum.',
    action: 'Send smaller tensors, for example several smaller batches.',
  },
  TENSOR_NOT_IN_JSON: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A string of the tensor is not UTF-8, so JSON cannot hold it.',
    action: 'Send this tensor in binary form (binary data extension of the Open Inference Protocol).',
  },
  TENSOR_UNSUPPORTED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The runtime does not support this element type.',
    action: 'Convert the model to a supported element type, such as FP32 or FP16.',
  },
  SAFETENSORS_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not a valid safetensors file.',
    action: 'Write it again with a safetensors library. The message names the broken rule.',
  },
  NPZ_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not a readable npz file.',
    action: 'Write it again with numpy.savez or numpy.savez_compressed. The message names the problem.',
  },
  NPY_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not a readable npy array, or the tensor cannot be written as npy.',
    action: 'Save one array of numbers, booleans or text with numpy.save, in C order. The message names the problem.',
  },
});
