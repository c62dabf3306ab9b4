import { defineCodes } from './define.js';

export const syncCodes = defineCodes({});
