export const ROLES = ['admin', 'operator', 'publisher', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

/**
 * Who may do what: the one table that the API guard, the CLI and the dashboard read. A capability is a noun and a verb.
 */
export const CAPABILITIES = {
  'model:read': ['admin', 'operator', 'publisher', 'viewer'],
  'model:publish': ['admin', 'publisher'],
  'model:delete': ['admin'],
  'trust:read': ['admin', 'operator', 'publisher', 'viewer'],
  'trust:write-root': ['admin', 'publisher'],
  'trust:write-targets': ['admin', 'publisher'],
  'hub:confirm-clock': ['admin', 'operator'],
  'device:read': ['admin', 'operator', 'viewer'],
  'device:write': ['admin', 'operator'],
  'device:remove': ['admin', 'operator'],
  'enrolment:read': ['admin', 'operator'],
  'enrolment:write': ['admin', 'operator'],
  'deployment:read': ['admin', 'operator', 'publisher', 'viewer'],
  'deployment:write': ['admin', 'operator'],
  'rollout:read': ['admin', 'operator', 'publisher', 'viewer'],
  'rollout:write': ['admin', 'operator'],
  'telemetry:read': ['admin', 'operator', 'publisher', 'viewer'],
  'event:read': ['admin', 'operator', 'publisher', 'viewer'],
  'token:read': ['admin'],
  'token:write': ['admin'],
  'audit:read': ['admin', 'operator'],
  'hub:read': ['admin', 'operator', 'viewer'],
  'hub:write': ['admin'],
} as const satisfies Readonly<Record<string, readonly Role[]>>;
export type Capability = keyof typeof CAPABILITIES;

/** True when a token with this role may do it. */
export function roleMay(role: Role, capability: Capability): boolean {
  const roles: readonly Role[] = CAPABILITIES[capability];
  return roles.includes(role);
}
