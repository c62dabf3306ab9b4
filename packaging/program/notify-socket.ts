import type { NotifySocket } from '#shared/kernel/notify-socket.js';
import { systemAddon } from './system-addon.js';

/** Stands in for shared/kernel/notify-socket.ts in a single-file build: sends through the addon of packaging/native/system.c. */
export function openNotifySocket(address: string): NotifySocket {
  const { send } = systemAddon();
  return (state) => send(address, state);
}
