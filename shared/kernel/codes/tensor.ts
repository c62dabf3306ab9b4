import { defineCodes } from './define.js';

export const tensorCodes = defineCodes({});
