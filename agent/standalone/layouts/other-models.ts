import { SkerryError } from '#shared/kernel/errors.js';

/** What files of other frameworks are called, and how their models become ONNX. */
const OTHERS: readonly (readonly [pattern: RegExp, what: string, advice: string])[] = [
  [
    /^saved_model\.pb(txt)?$|^model\.savedmodel$/,
    'a TensorFlow SavedModel',
    'convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx',
  ],
  [/^model\.graphdef$|\.(h5|keras)$/, 'a TensorFlow or Keras model', 'convert it with tf2onnx'],
  [/\.tflite$/, 'a TensorFlow Lite model', 'convert it: python -m tf2onnx.convert --tflite FILE --output model.onnx'],
  [/\.(pt|pth|mar)$/, 'a PyTorch model', 'export it with torch.onnx.export'],
  [/\.(plan|engine)$/, 'a TensorRT engine', 'serve the ONNX file that it was built from'],
  [/\.(pkl|pickle|joblib)$/, 'a pickled Python object', 'convert it with skl2onnx'],
  [/\.(bst|ubj)$|^model\.json$/, 'an XGBoost model', 'convert it with onnxmltools'],
  [/\.xml$/, 'an OpenVINO model', 'serve the ONNX file that it was made from'],
  [/^model\.py$/, 'Python code', 'export the model as ONNX; code around it is not run'],
  [/\.safetensors$|^pytorch_model\.bin$/, 'weights without a graph', 'export the model as ONNX, for example with optimum-cli export onnx'],
];

/** Why a folder without an ONNX file cannot be served, by the names in it; undefined when it holds nothing that is known. */
export function otherModel(folder: string, names: readonly string[]): SkerryError | undefined {
  for (const [pattern, what, advice] of OTHERS) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) {
      return new SkerryError('STANDALONE_UNSUPPORTED', `${folder} holds ${found}, ${what}: only ONNX models are served; ${advice}`);
    }
  }
  return undefined;
}
