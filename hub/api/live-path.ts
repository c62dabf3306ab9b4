/** WebSocket path of the live feed on the hub's HTTP port. */
export const LIVE_PATH = '/api/v1/live';
/** Close code for a listener whose token was revoked or has expired; 4000 to 4999 are an application's own (RFC 6455, 7.4.2). */
export const LIVE_UNAUTHENTICATED = 4401;
/** Subprotocols a browser, which cannot set headers, sends: this one, and the token behind the prefix. */
export const LIVE_PROTOCOL = 'skerry.live.v1';
export const LIVE_TOKEN_PROTOCOL = 'skerry.bearer.';
