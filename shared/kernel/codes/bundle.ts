import { defineCodes } from './define.js';

export const bundleCodes = defineCodes({});
