import { defineCodes } from './define.js';

export const tensorCodes = defineCodes({
  TENSOR_UNKNOWN: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor is named that the model does not have.',
    action: 'Use the names the message lists; the model metadata shows them too.',
  },
  TENSOR_MISSING: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor the model needs was not given.',
    action: 'Add the tensor the message names, with the datatype and shape it gives.',
  },
  TENSOR_DATATYPE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor has another element type than the model declares.',
    action: 'Convert the data to the datatype named in the message.',
  },
  TENSOR_SHAPE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tensor has another shape than the model declares, or a shape that is none.',
    action: 'Send the shape named in the message; -1 stands for a dimension that may vary.',
  },
  TENSOR_EMPTY: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An input has a size of 0 where no golden sample of the version has one; the runtime could end the whole agent on it.',
    action:
      'Send at least one element; if the model takes none, publish it with a golden sample (`skerry publish --golden`) that has that size.',
  },
  TENSOR_DATA: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The data of a tensor does not fit its datatype and shape.',
    action: 'Correct the element, count or byte length the message names.',
  },
  TENSOR_STRING: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A string element cannot be given to the runtime as it is: it has a NUL character, or bytes that are not UTF-8.',
    action: 'Send text in UTF-8 without NUL; send other bytes as a UINT8 tensor or as base64, where the model takes that.',
  },
  TENSOR_STRING_OUTPUT: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'A model gave a string that is not UTF-8, and the runtime altered it.',
    action:
      'Export the model with its labels in UTF-8, or leave that output out; where it gives U+FFFD rightly, publish it with a golden sample that shows it.',
  },
  TENSOR_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 413,
    summary: 'A tensor has more elements than the named maximum.',
    action: 'Send smaller tensors, for example several smaller batches.',
  },
  TENSOR_NOT_IN_JSON: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The tensor holds values that JSON cannot carry exactly.',
    action: 'Use the binary tensor form (Open Inference Protocol binary data extension) for this tensor.',
  },
  TENSOR_UNSUPPORTED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The runtime has no form for this element type.',
    action: 'Convert the model to a supported element type, such as FP32 or FP16.',
  },
  SAFETENSORS_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not valid in the safetensors format.',
    action: 'Write it again with a safetensors library; the message names the rule it breaks.',
  },
  NPZ_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is no npz file that can be read.',
    action: 'Write it again with numpy.savez or numpy.savez_compressed; the message names what is wrong.',
  },
  NPY_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file holds no array in the npy format that can be read, or the tensor cannot be written in it.',
    action: 'Save one array of numbers, truth values or text with numpy.save, in C order; the message names what is in the way.',
  },
});
