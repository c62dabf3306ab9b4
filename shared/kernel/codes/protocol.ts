import { defineCodes } from './define.js';

export const protocolCodes = defineCodes({
  PROTOCOL_MESSAGE_INVALID: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'A message does not have the form its channel prescribes.',
    action: 'Compare the protocol versions of hub and agent; the message was ignored.',
  },
  PROTOCOL_DEVICE_MISMATCH: {
    fault: 'peer',
    status: 'INVALID_ARGUMENT',
    summary: 'A message names another device than the topic it came on.',
    action: 'Find out who publishes on that topic; the message was ignored.',
  },
});
