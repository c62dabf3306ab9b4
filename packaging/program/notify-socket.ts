import { z } from 'zod';
import { narrow } from '#shared/kernel/json.js';
import type { NotifySocket } from '#shared/kernel/notify-socket.js';
import { loadNative } from './load-native.js';

type Send = (address: string, state: string) => void;
const addonSchema = z.object({ send: z.custom<Send>((value) => typeof value === 'function') });

/** Stands in for shared/kernel/notify-socket.ts in a single-file build: sends through the addon of packaging/native/notify.c. */
export function openNotifySocket(address: string): NotifySocket {
  const { send } = narrow(addonSchema, loadNative('skerry_notify.node'), 'the addon skerry_notify.node');
  return (state) => send(address, state);
}
