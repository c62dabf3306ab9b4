import { defineCodes } from './define.js';

export const modelsCodes = defineCodes({});
