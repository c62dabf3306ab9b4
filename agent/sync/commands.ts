import { parseTimestamp } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { type Cmd, unknownCommandKind } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { LinkPort, Subscription } from './contract.js';
import type { SignedClock } from './signed-clock.js';

/** What each command does; the type makes a command without a line here fail to compile. */
type CommandHandlers = { readonly [K in Cmd['kind']]: (cmd: Extract<Cmd, { kind: K }>) => void };

interface CommandDeps {
  readonly fleet: string;
  readonly device: string;
  readonly link: LinkPort;
  readonly time: SignedClock;
  readonly logger: Logger;
  readonly handlers: CommandHandlers;
}

/** Listens to the device's `cmd` channel. What has expired is dropped: it was meant for another hour. */
export function listenToCommands(deps: CommandDeps): Subscription {
  const { link, fleet, device, time, logger } = deps;
  return link.subscribe(deviceTopic(fleet, device, 'cmd'), (_topic, payload) => {
    const unknown = unknownCommandKind(payload);
    if (unknown !== undefined) {
      logger.info({ kind: unknown }, 'a command that only a later release supports was ignored');
      return;
    }
    const cmd = decodeMessage('cmd', payload, device);
    const expires = parseTimestamp(cmd.expires);
    // One that names a start says nothing to any other, however late it comes, and the clock may be what is wrong.
    const isOver = cmd.kind !== 'stand-down' && (expires === undefined || expires <= time.now().now);
    if (isOver) {
      logger.info({ id: cmd.id, kind: cmd.kind, expires: cmd.expires }, 'an expired command was dropped');
      return;
    }
    run(deps.handlers, cmd);
  });
}

function run(handlers: CommandHandlers, cmd: Cmd): void {
  switch (cmd.kind) {
    case 'report':
      return handlers.report(cmd);
    case 'flush':
      return handlers.flush(cmd);
    case 'stand-down':
      return handlers['stand-down'](cmd);
    case 'fetch-refused':
      return handlers['fetch-refused'](cmd);
  }
}
