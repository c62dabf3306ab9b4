import { defineCodes } from './define.js';

export const publisherCodes = defineCodes({});
