import { defineCodes } from './define.js';

export const publisherCodes = defineCodes({
  ONNX_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not an ONNX model, or is damaged.',
    action: 'Do what the message says; where it names a damage only, export the model as ONNX again.',
  },
  ONNX_EXTERNAL_DATA: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model keeps weights in other files, which a version cannot carry.',
    action: 'Save the model as one file, for example onnx.save_model(model, path, save_as_external_data=False).',
  },
  ONNX_UNLOADABLE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The runtime cannot load the model.',
    action:
      'Export the model with an opset and operators that ONNX Runtime knows; operators of one\u2019s own and later opsets are not supported.',
  },
  MODEL_UNSUPPORTED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model has something that a version cannot carry or devices cannot serve.',
    action: 'Export the model without what the message names; "skerry inspect MODEL" shows all inputs and outputs.',
  },
  OUTPUT_NOT_SERVABLE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output of the model is no tensor that can be served, such as a sequence of maps.',
    action: 'Export the model so that it gives tensors, or name the outputs that the version offers with --output NAME.',
  },
  OUTPUT_UNKNOWN: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output was asked for that the model does not have.',
    action: 'Use a name that the message lists; "skerry inspect MODEL" shows them too.',
  },
  GOLDEN_INPUTS_NEEDED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model does not run on generated inputs, so no golden sample could be recorded.',
    action:
      'Give inputs the model accepts with --golden FILE (see "skerry publish --help"), or sizes for its varying dimensions with --dim.',
  },
  GOLDEN_INPUTS_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A file of golden inputs cannot be used.',
    action: 'Correct what the message names; "skerry inspect MODEL" shows the inputs the model takes.',
  },
  GOLDEN_NOT_DETERMINISTIC: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model gives other outputs for the same inputs, so a device could not check itself.',
    action:
      'Export the model for inference, without random operators; if it is meant to be random, publish it with --golden-shape-only, which compares types and shapes and no values.',
  },
  GOLDEN_NOT_FINITE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output of the model holds NaN or infinities on the golden samples.',
    action:
      'Check the model and the golden inputs. If such values are right for this model, publish with --allow-not-finite OUTPUT; devices then take what the samples show for right.',
  },
  GOLDEN_DISAGREES: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A variant does not give the expected outputs within the tolerance.',
    action:
      'Use a better variant, or state the tolerance you accept with --tolerance ABSOLUTE,RELATIVE, or for one output with --output-tolerance OUTPUT=ABSOLUTE,RELATIVE.',
  },
  TOLERANCE_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A tolerance was given for an output that cannot have it.',
    action: 'Name an output of the model. Integers take an absolute tolerance only; booleans and strings are always compared exactly.',
  },
  VARIANT_DIFFERS: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A variant has other inputs or outputs than the first one.',
    action: 'Export all variants of a version with the same input and output names, datatypes and shapes.',
  },
  BATCHING_UNSUPPORTED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary:
      'Requests to the model cannot share a run: some output does not have one row for each input row, or rows influence one another.',
    action:
      'Publish without --batch, or export the model with a varying first dimension everywhere and rows that are worked out independently.',
  },
  AGENT_EXECUTABLE_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A file given as an executable of the agent is not one for a platform agents are built for.',
    action: 'Give the executables that "npm run package" builds; the message says what the file is.',
  },
});
