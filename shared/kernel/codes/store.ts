import { defineCodes } from './define.js';

export const storeCodes = defineCodes({});
