import { MQTT_PATH } from '#shared/protocol/mqtt-path.js';
import type { HubConfig } from './config.js';

/** Ports the hub listens on; `mqtt` is that of the embedded broker and means nothing beside an external one. */
interface BoundPorts {
  readonly http: number;
  readonly mqtt: number;
}

/** Where the API is reached from this machine. */
export function localHttpUrl(config: HubConfig, ports: BoundPorts): string {
  const host = isAnyAddress(config.httpHost) ? '127.0.0.1' : config.httpHost;
  return `${config.tlsCertFile === undefined ? 'http' : 'https'}://${bracketed(host)}:${ports.http}`;
}

/**
 * Broker addresses told to a device that called the hub by `host`: what the settings say, else the embedded broker under the
 * very name that led the device here.
 */
export function brokerEndpoints(config: HubConfig, ports: BoundPorts, host: string): { readonly url: string; readonly wsUrl?: string } {
  const told = config.mqttPublicUrl ?? config.mqttUrl;
  if (told !== undefined) return { url: told };
  const secure = config.tlsCertFile !== undefined;
  const name = bracketed(host === '' ? '127.0.0.1' : host);
  return {
    url: `${secure ? 'mqtts' : 'mqtt'}://${name}:${ports.mqtt}`,
    wsUrl: `${secure ? 'wss' : 'ws'}://${name}:${ports.http}${MQTT_PATH}`,
  };
}

function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** IPv6 literals stand in brackets (RFC 3986 3.2.2). */
function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
