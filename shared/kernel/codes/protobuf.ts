import { defineCodes } from './define.js';

export const protobufCodes = defineCodes({
  PROTOBUF_INVALID: {
    fault: 'caller',
    // gRPC, "Status codes": an error parsing a request is INTERNAL, which every implementation answers.
    status: 'INTERNAL',
    summary: 'The bytes of a gRPC message are not the Protocol Buffers message that the call takes.',
    action: 'Send the message that the reflection service describes. The message of the error says where reading it ended.',
  },
});
