import { defineCodes } from './define.js';

export const publisherCodes = defineCodes({
  ONNX_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not a valid ONNX model.',
    action: 'Follow the message. If it only reports damage, export the model as ONNX again.',
  },
  ONNX_EXTERNAL_DATA: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model stores weights in other files, which a version cannot include.',
    action: 'Save the model as one file, for example onnx.save_model(model, path, save_as_external_data=False).',
  },
  ONNX_UNLOADABLE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The runtime cannot load the model.',
    action: 'Export the model with an opset and operators that ONNX Runtime supports. Custom operators are not supported.',
  },
  MODEL_UNSUPPORTED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model uses something that versions or devices do not support.',
    action: 'Export the model without what the message names. "skerry inspect MODEL" shows all inputs and outputs.',
  },
  OUTPUT_NOT_SERVABLE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output of the model is not a tensor that can be served, such as a sequence of maps.',
    action: 'Export the model with tensor outputs, or select outputs with --output NAME.',
  },
  OUTPUT_UNKNOWN: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model has no output with this name.',
    action: 'Use a name that the message lists. "skerry inspect MODEL" shows them, too.',
  },
  GOLDEN_INPUTS_NEEDED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model fails on generated inputs, so no golden sample was recorded.',
    action: 'Give valid inputs with --golden FILE (see "skerry publish --help"), or sizes of dynamic dimensions with --dim.',
  },
  GOLDEN_INPUTS_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A file with golden inputs cannot be used.',
    action: 'Correct what the message names. "skerry inspect MODEL" shows the inputs of the model.',
  },
  GOLDEN_NOT_DETERMINISTIC: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model gives different outputs for the same inputs, so devices could not check it.',
    action:
      'Export the model for inference, without random operators. If it is random on purpose, publish it with --golden-shape-only, which compares only types and shapes.',
  },
  GOLDEN_NOT_FINITE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output of the model is NaN or infinite on the golden samples.',
    action: 'Check the model and the golden inputs. If such values are right, publish with --allow-not-finite OUTPUT.',
  },
  VARIANT_GOLDEN_MISMATCH: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The outputs of a variant differ from the expected outputs by more than the tolerance.',
    action:
      'Use a better variant, or accept more with --tolerance ABSOLUTE,RELATIVE, or for one output with --output-tolerance OUTPUT=ABSOLUTE,RELATIVE.',
  },
  TOLERANCE_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'An output cannot have the given tolerance.',
    action: 'Name an output of the model. Integers take only an absolute tolerance; booleans and strings are always compared exactly.',
  },
  VARIANT_DIFFERS: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The inputs or outputs of a variant differ from those of the reference variant.',
    action: 'Export all variants of a version with the same input and output names, datatypes and shapes.',
  },
  BATCHING_UNSUPPORTED: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The model does not support batching: an output does not have one row for each input row, or rows influence one another.',
    action: 'Publish without --batch, or export the model with a dynamic first dimension everywhere and independent rows.',
  },
  AGENT_EXECUTABLE_INVALID: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The file is not an executable of the agent for a supported platform.',
    action: 'Use the executables that "npm run package" builds. The message says what the file is.',
  },
});
