import { defineCodes } from './define.js';

export const serveCodes = defineCodes({
  SERVE_PATH_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The local API does not have this path.',
    action: 'Use a path of the Open Inference Protocol v2, such as /v2/models/NAME/infer.',
  },
  SERVE_REPOSITORY_FIXED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'Clients may not load or unload models here.',
    action: 'Deploy the model with the hub, or serve a folder with `skerry-agent serve --control explicit`.',
  },
  SERVE_METHOD: {
    fault: 'caller',
    status: 'UNIMPLEMENTED',
    http: 405,
    summary: 'The path does not support this HTTP method.',
    action: 'Use a method that the Allow header lists.',
  },
  SERVE_BODY: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The request body is not the JSON, or JSON and binary data, that the protocol requires.',
    action: 'Correct what the message names.',
  },
  SERVE_REQUEST: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A field of the inference request is missing, unknown or of the wrong type.',
    action: 'Correct the field that the message names.',
  },
  SERVE_ENCODING: {
    fault: 'caller',
    status: 'UNIMPLEMENTED',
    http: 415,
    summary: 'The body is compressed or has another unsupported encoding.',
    action: 'Send the body without a Content-Encoding, or with "identity".',
  },
  SERVE_CONTENT_TYPE: {
    fault: 'caller',
    status: 'UNIMPLEMENTED',
    http: 415,
    summary: 'The dialect does not read bodies of this content type.',
    action: 'Send a content type that the message lists.',
  },
  SERVE_LISTEN_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The local API could not listen on its address.',
    action: 'Stop the program that uses the address, or choose another with --http-port (0 picks a free one), --http-host or --socket.',
  },
  SERVE_TIMEOUT: {
    fault: 'caller',
    status: 'DEADLINE_EXCEEDED',
    http: 408,
    summary: 'The request did not arrive completely in time.',
    action: 'Send headers and body without pauses.',
  },
  SERVE_HTTP: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The HTTP request is malformed.',
    action: 'Correct the request. The message is that of the HTTP parser.',
  },
  SERVE_HEADERS_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 431,
    summary: 'The request line and headers exceed the maximum size.',
    action: 'Send fewer or shorter headers, and put data into the body.',
  },
  SERVE_EXPECTATION: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    http: 417,
    summary: 'The Expect header asks for something that the local API does not support.',
    action: 'Omit the header, or send "Expect: 100-continue".',
  },
  SERVE_JSON_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 413,
    summary: 'A request or answer has more tensor elements than JSON may carry.',
    action:
      'Use binary tensors: send inputs with parameters.binary_data_size and the header Inference-Header-Content-Length, and request outputs with "parameters": {"binary_data_output": true}. Or raise --json-elements.',
  },
  SERVE_FEEDBACK_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'It is unknown which version gave the answer that the feedback is about.',
    action: 'Send an id or a key with the request and repeat it in the feedback within the next thousands of answers, or name the version.',
  },
  SERVE_METRIC_LIMIT: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    summary: 'Too many different metrics were reported for one version in one window.',
    action: 'Report fewer names. Put what varies into the value.',
  },
});
