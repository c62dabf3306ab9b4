import { defineCodes } from './define.js';

export const protocolCodes = defineCodes({});
