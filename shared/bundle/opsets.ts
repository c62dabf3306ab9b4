/** Opset each ONNX Runtime release first supports (onnxruntime.ai, "ONNX Runtime compatibility"); older opsets need no newer runtime. */
const OPSET_SINCE: readonly (readonly [opset: number, minor: number])[] = [
  [21, 18],
  [20, 17],
  [19, 15],
  [18, 14],
  [17, 12],
  [16, 11],
];
/** The last release in that table: it ends at the first opset above, so newer opsets need a newer release. */
const TABLE_ENDS = 20;
/** A later release, and the newest opset it was seen to load; which release between the two first knew the opset is not known. */
const SEEN = { minor: 30, opset: 26 };

/** Which releases of ONNX Runtime 1 know an opset, by their minor numbers. */
interface RuntimesFor {
  /** Releases before this one do not know it. */
  readonly earliest: number;
  /** Releases from this one on know it; left out where none is known to. Between the two nobody knows. */
  readonly surely?: number;
}

/** `undefined` for an opset that every supported release knows. */
export function runtimesFor(opset: number): RuntimesFor | undefined {
  const newest = OPSET_SINCE[0]?.[0] ?? 0;
  if (opset > newest) return opset > SEEN.opset ? { earliest: TABLE_ENDS + 1 } : { earliest: TABLE_ENDS + 1, surely: SEEN.minor };
  const minor = OPSET_SINCE.find(([since]) => opset >= since)?.[1];
  return minor === undefined ? undefined : { earliest: minor, surely: minor };
}
