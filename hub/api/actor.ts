import type { Caller } from './route.js';
import type { Role } from '#hub/kernel/roles.js';

/** Who does something, and from where: recorded with every decision that follows. */
interface ApiActor {
  readonly name: string;
  readonly role: Role;
  /** Network address. */
  readonly source: string;
}

export function actorOf(caller: Caller, source: string): ApiActor {
  return caller.kind === 'token' ? { name: caller.name, role: caller.role, source } : { name: 'anonymous', role: 'viewer', source };
}
