/** Sends one datagram of `NAME=value` lines to the service manager's socket. */
export type NotifySocket = (state: string) => void;

/**
 * Opens the socket a service manager listens on (`NOTIFY_SOCKET`, sd_notify(3)). Node has no Unix datagram sockets, so from
 * source there is none: `undefined`. A single-file build puts a module in this one's place that sends through its own addon.
 */
export function openNotifySocket(_address: string): NotifySocket | undefined {
  return undefined;
}
