import type { FigureGroup } from './figure-group.js';
import { added } from './latency.js';
import { DIALECT_WAYS } from './ways.js';

export const dialects: FigureGroup = {
  name: 'dialects',
  what: 'The same for y = 2x + 1 of four numbers as JSON, by dialect.',
  measure: (context) => added(DIALECT_WAYS, context),
};
