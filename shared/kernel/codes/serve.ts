import { defineCodes } from './define.js';

export const serveCodes = defineCodes({
  SERVE_PATH_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'The local API has nothing at this path.',
    action: 'Use a path of the Open Inference Protocol v2, such as /v2/models/NAME/infer.',
  },
  SERVE_METHOD: {
    fault: 'caller',
    status: 'UNIMPLEMENTED',
    http: 405,
    summary: 'The path exists, but not for this HTTP method.',
    action: 'Use a method the Allow header lists.',
  },
  SERVE_BODY: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The request body is not the JSON, or the JSON and binary data, the protocol asks for.',
    action: 'Correct what the message names.',
  },
  SERVE_REQUEST: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A field of the inference request is missing, unknown or of the wrong type.',
    action: 'Correct the field the message names.',
  },
  SERVE_ENCODING: {
    fault: 'caller',
    status: 'UNIMPLEMENTED',
    http: 415,
    summary: 'The body is compressed, or encoded in another way that is not accepted.',
    action: 'Send the body as it is, without a Content-Encoding or with "identity".',
  },
  SERVE_ADDRESS: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The address of the local API cannot be listened on.',
    action: 'Stop what uses the address, or choose another with --http-port (0 takes any free one), --http-host or --socket.',
  },
  SERVE_TIMEOUT: {
    fault: 'caller',
    status: 'DEADLINE_EXCEEDED',
    http: 408,
    summary: 'The request did not arrive completely within the time a request may take.',
    action: 'Send headers and body without pauses.',
  },
  SERVE_HTTP: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The HTTP request itself cannot be read.',
    action: 'Correct the request; the message says what the HTTP parser refused.',
  },
  SERVE_HEADERS_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 431,
    summary: 'The request line and the headers of an HTTP request are larger than is accepted.',
    action: 'Send fewer or shorter headers, and put data into the body.',
  },
  SERVE_EXPECTATION: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    http: 417,
    summary: 'The Expect header of a request asks for something that the local API does not do.',
    action: 'Leave the header out, or send "Expect: 100-continue".',
  },
  SERVE_JSON_TOO_LARGE: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    http: 413,
    summary: 'A request or an answer has more tensor elements than may go as JSON.',
    action:
      'Use binary tensors: send inputs with parameters.binary_data_size and the header Inference-Header-Content-Length, ask for outputs with "parameters": {"binary_data_output": true}; or raise --json-elements.',
  },
  SERVE_FEEDBACK_UNKNOWN: {
    fault: 'caller',
    status: 'NOT_FOUND',
    summary: 'It is not known which version gave the answer that the feedback is about.',
    action: 'Send an id or a key with the request and repeat it in the feedback within the next thousands of answers, or name the version.',
  },
  SERVE_METRIC_LIMIT: {
    fault: 'caller',
    status: 'RESOURCE_EXHAUSTED',
    summary: 'More different metrics of one version were reported in one window than are counted.',
    action: 'Report fewer names; put what varies into the value.',
  },
});
