/** Path at which the hub's HTTP port carries MQTT over WebSocket to the broker inside the hub. */
export const MQTT_PATH = '/mqtt';

/** The broker inside the hub whose API has this base URL. */
export function brokerBehind(api: string): string {
  return `${api.replace(/^http/, 'ws').replace(/\/+$/, '')}${MQTT_PATH}`;
}
