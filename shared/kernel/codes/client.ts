import { defineCodes } from './define.js';

export const clientCodes = defineCodes({
  CLIENT_ADDRESS: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The address of the server is not one that the client can use.',
    action: 'Use http://HOST:PORT, https://HOST:PORT, grpc://HOST:PORT, grpcs://HOST:PORT or unix:/PATH.',
  },
  CLIENT_UNREACHABLE: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The client could not connect to the server. Nothing was sent.',
    action: 'Check the address, and that the server runs.',
  },
  CLIENT_CONNECTION_LOST: {
    fault: 'environment',
    status: 'UNAVAILABLE',
    summary: 'The connection ended before the answer was complete. The server may have processed the request.',
    action: 'Send the request again if it may run twice. Check the log of the server.',
  },
  CLIENT_REFUSED: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The server refused the request and gave no code that this release knows. The details have its status.',
    action: 'Follow the message of the server.',
  },
  CLIENT_ANSWER: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'The answer of the server is not what the protocol says, or exceeds a limit.',
    action: 'Check that the address belongs to a server of the Open Inference Protocol.',
  },
  CLIENT_UNSUPPORTED: {
    fault: 'caller',
    status: 'UNIMPLEMENTED',
    summary: 'The protocol of this address does not have this call.',
    action: 'Use the HTTP address or the Unix socket of the same server.',
  },
});
