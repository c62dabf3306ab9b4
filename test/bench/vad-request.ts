import { Agent, request } from 'node:http';

const INPUT = 576;
const STATE = 2 * 1 * 128;

/** One binary prediction request for Silero VAD (Open Inference Protocol, binary tensor data extension), as bytes on the wire. */
export function vadRequestBody(): { readonly body: Buffer; readonly headerLength: number } {
  const tensors = [Buffer.from(new Float32Array(INPUT).fill(0.01).buffer), Buffer.alloc(STATE * 4), Buffer.alloc(8)];
  tensors[2]?.writeBigInt64LE(16_000n);
  const header = JSON.stringify({
    inputs: [
      { name: 'input', datatype: 'FP32', shape: [1, INPUT], parameters: { binary_data_size: INPUT * 4 } },
      { name: 'state', datatype: 'FP32', shape: [2, 1, 128], parameters: { binary_data_size: STATE * 4 } },
      { name: 'sr', datatype: 'INT64', shape: [], parameters: { binary_data_size: 8 } },
    ],
    parameters: { binary_data_output: true },
  });
  return { body: Buffer.concat([Buffer.from(header), ...tensors]), headerLength: Buffer.byteLength(header) };
}

/** A client with one kept-alive connection; `predict` resolves with the status once the whole answer is in. */
export function vadClient(baseUrl: string): { predict(): Promise<number>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { body, headerLength } = vadRequestBody();
  const url = `${baseUrl}/v2/models/vad/infer`;
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': body.length,
    'inference-header-content-length': headerLength,
  };
  return {
    predict: () =>
      new Promise((resolve, reject) => {
        const outgoing = request(url, { method: 'POST', agent, headers }, (response) => {
          response.resume();
          response.once('end', () => resolve(response.statusCode ?? 0));
        });
        outgoing.once('error', reject);
        outgoing.end(body);
      }),
    close: () => agent.destroy(),
  };
}
