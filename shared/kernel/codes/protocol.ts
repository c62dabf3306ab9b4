import { defineCodes } from './define.js';

export const protocolCodes = defineCodes({
  PROTOCOL_MESSAGE_INVALID: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'A message does not match the schema of its channel.',
    action: 'Compare the protocol versions of hub and agent. The message was ignored.',
  },
  PROTOCOL_DEVICE_MISMATCH: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'A message names a different device than its topic.',
    action: 'Find out who publishes on that topic. The message was ignored.',
  },
});
