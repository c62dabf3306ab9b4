import type { Clock } from './clock.js';
import type { Millis } from './time.js';
import { asSkerryError } from './errors.js';
import type { Logger } from './logger.js';
import { openNotifySocket, type NotifySocket } from './notify-socket.js';

/** Characters; the addon sends no message of more than 1 KiB. */
const MAX_STATUS = 240;

interface ServiceManagerOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** One line on how the program is, for people. Rejects, or does not answer, when it no longer does its work: then the watchdog is not fed. */
  readonly alive: () => Promise<string>;
  readonly open?: (address: string) => NotifySocket | undefined;
}

/** What a program tells systemd about itself (sd_notify(3)); where nobody listens it does nothing. */
export interface ServiceManager {
  /** Says that the program does its work, and feeds the watchdog from now on. */
  ready(): void;
  /** Says that it is ending, and feeds the watchdog no more. */
  stopping(): void;
  /** The process is about to become another program, which will speak for it: feeds the watchdog once more, and says nothing after. */
  handingOver(): void;
}

/** Connects to the service manager named in the environment. A socket that cannot be used is logged once and left alone. */
export function connectServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { env, clock, logger, alive } = options;
  const address = env['NOTIFY_SOCKET'];
  const socket = address === undefined || address === '' ? undefined : (options.open ?? openNotifySocket)(address);
  if (socket === undefined) return { ready: () => undefined, stopping: () => undefined, handingOver: () => undefined };

  let failed = false;
  const send = (state: string): void => {
    try {
      if (!failed) socket(state);
    } catch (cause) {
      failed = true;
      logger.warn({ reason: asSkerryError(cause).message }, 'the service manager cannot be notified');
    }
  };
  let over = false;
  const period = watchdogPeriod(env);
  // The next feeding waits for this one's answer: a program that hangs is not fed, and is started again.
  const feed = async (every: Millis): Promise<void> => {
    let status: string;
    try {
      status = await alive();
    } catch (cause) {
      if (!over) logger.error({ reason: asSkerryError(cause).message }, 'the process hangs; the watchdog is no longer notified');
      return;
    }
    if (over) return;
    send(`WATCHDOG=1\nSTATUS=${oneLine(status)}`);
    clock.schedule(every, () => void feed(every));
  };
  return {
    ready: () => {
      send('READY=1');
      if (period !== undefined) void feed(period);
    },
    stopping: () => {
      if (!over) send('STOPPING=1');
      over = true;
    },
    handingOver: () => {
      if (!over && period !== undefined) send('WATCHDOG=1');
      over = true;
    },
  };
}

/** A line break would begin another variable, and too long a message is not sent at all. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, MAX_STATUS);
}

/** A third of WATCHDOG_USEC; sd_watchdog_enabled(3) recommends less than half. Undefined when no watchdog is meant for this process. */
export function watchdogPeriod(env: Readonly<Record<string, string | undefined>>): Millis | undefined {
  const microseconds = Number(env['WATCHDOG_USEC']);
  if (!Number.isSafeInteger(microseconds) || microseconds <= 0) return undefined;
  const meant = env['WATCHDOG_PID'];
  if (meant !== undefined && meant !== String(process.pid)) return undefined;
  return Math.max(1, Math.floor(microseconds / 3_000));
}
