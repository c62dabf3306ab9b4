/** State of the link to the hub; a discriminated union, never several booleans. */
export type LinkStatus =
  | { readonly kind: 'offline'; readonly since: number; readonly reason?: string; readonly nextAttemptAt?: number }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'online'; readonly since: number; readonly broker: string };
