/** WebSocket path of the live feed on the hub's HTTP port. */
export const LIVE_PATH = '/api/v1/live';
/** Subprotocols a browser, which cannot set headers, sends: this one, and the token behind the prefix. */
export const LIVE_PROTOCOL = 'skerry.live.v1';
export const LIVE_TOKEN_PROTOCOL = 'skerry.bearer.';
