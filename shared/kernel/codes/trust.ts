import { defineCodes } from './define.js';

export const trustCodes = defineCodes({});
