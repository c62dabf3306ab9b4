import { defineCodes } from './define.js';

export const standaloneCodes = defineCodes({
  STANDALONE_CONFIG: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A model configuration (config.pbtxt, or the one given with a request to load) is not one.',
    action: 'Correct what the message names. It gives line and column for text.',
  },
  STANDALONE_UNSUPPORTED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'A model, or its configuration, asks for something that Skerry does not have.',
    action: 'Remove the setting that the message names, or export the model as ONNX.',
  },
  STANDALONE_MISMATCH: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The configuration of a model contradicts its file.',
    action: 'Correct the configuration, or omit its inputs and outputs: they are then read from the file.',
  },
  STANDALONE_FOLDER: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The file or folder to serve is not there, or holds no model.',
    action: 'Name an ONNX file, or a folder with models as the message describes.',
  },
  STANDALONE_NOTHING: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'None of the models to serve could be loaded.',
    action: 'Correct what the message says of each model. With --control poll or explicit the server starts without models.',
  },
  STANDALONE_VERSIONS: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'A model folder has no version that its version policy allows.',
    action: 'Add a folder named with a positive number that holds model.onnx, or change version_policy.',
  },
});
