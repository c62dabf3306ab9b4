import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from '../oip/oip-response.js';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Readonly<Record<string, string>>;
}

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;
