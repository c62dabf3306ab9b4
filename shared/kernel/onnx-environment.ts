/**
 * Keeps ONNX Runtime to itself; call in the main thread before anything loads it. The published Linux and macOS builds send
 * usage to their maker unless this stands in the environment of the process (microsoft/onnxruntime pull request 27379), and
 * keep an identifier and a database outside our data folder for it. A worker's `process.env` is a copy that native code does
 * not see, hence the main thread.
 */
export function silenceOnnxRuntime(): void {
  if (process.env['ORT_DISABLE_TELEMETRY'] !== '1') process.env['ORT_DISABLE_TELEMETRY'] = '1';
}
