import { defineCodes } from './define.js';

export const inferenceCodes = defineCodes({});
