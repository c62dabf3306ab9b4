import { defineCodes } from './define.js';

export const hubCodes = defineCodes({});
