import { defineCodes } from './define.js';

export const rolloutsCodes = defineCodes({});
