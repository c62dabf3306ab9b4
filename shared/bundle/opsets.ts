/** Opset each ONNX Runtime release first supports (onnxruntime.ai, "ONNX Runtime compatibility"); older opsets need no newer runtime. */
const OPSET_SINCE: readonly (readonly [opset: number, minor: number])[] = [
  [21, 18],
  [20, 17],
  [19, 15],
  [18, 14],
  [17, 12],
  [16, 11],
];

/** Minor number of the first release of ONNX Runtime 1 that knows the opset; `undefined` for those that every supported one knows. */
export function firstRuntimeFor(opset: number): number | undefined {
  return OPSET_SINCE.find(([since]) => opset >= since)?.[1];
}
