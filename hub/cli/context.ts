import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { defaultDataDir } from '#hub/config.js';
import { xdgFolder } from '#shared/kernel/settings.js';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { hubStateSchema } from '../hub-state.js';
import type { HubAddress } from '../publisher/http-hub.js';
import type { HubFlags } from './publisher-deps.js';

export type Env = Readonly<Record<string, string | undefined>>;

const loginSchema = openObject({ hub: z.url({ protocol: /^https?$/ }).max(512), token: z.string().min(1).max(256) });
const LOGIN_MAX_BYTES = 4096;

/** Where `skerry login` keeps address and token (XDG Base Directory Specification). */
export function loginFile(env: Env): string {
  return join(xdgFolder(env, 'XDG_CONFIG_HOME', '.config'), 'skerry', 'login.json');
}

/** Keeps a login, readable by this user only. */
export async function saveLogin(env: Env, address: HubAddress): Promise<string> {
  const { mkdir } = await import('node:fs/promises');
  const path = loginFile(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFileAtomic(path, `${JSON.stringify({ hub: address.url, token: address.token })}\n`, { mode: 0o600 });
  return path;
}

/**
 * Which hub and token a command uses, each on its own: flag, environment, saved login, and last a hub that runs on this
 * machine with its data where it is by default. Throws `LOGIN_MISSING`, or `CONFIG_INVALID` for an address that is none.
 */
export async function resolveHub(flags: HubFlags, env: Env): Promise<HubAddress> {
  const given = { url: flags.hub ?? present(env['SKERRY_HUB']), token: flags.token ?? present(env['SKERRY_TOKEN']) };
  const saved = given.url !== undefined && given.token !== undefined ? undefined : await savedLogin(env);
  // A token belongs to its hub: that of the saved login goes nowhere else.
  const fits = saved !== undefined && (given.url === undefined || sameOrigin(given.url, saved.hub));
  const url = given.url ?? saved?.hub;
  const token = given.token ?? (fits ? saved.token : undefined);
  if (url === undefined || token === undefined) {
    throw new SkerryError('LOGIN_MISSING', url === undefined ? 'no hub is known' : `no token is known for ${url}`);
  }
  if (!z.url({ protocol: /^https?$/ }).safeParse(url).success) {
    throw new SkerryError('CONFIG_INVALID', `"${url}" is not an http or https address`);
  }
  return { url, token };
}

async function savedLogin(env: Env): Promise<z.infer<typeof loginSchema> | undefined> {
  const path = loginFile(env);
  const bytes = await readIfThere(path);
  if (bytes !== undefined) return parseJson(loginSchema, bytes, { what: path, maxBytes: LOGIN_MAX_BYTES, code: 'CONFIG_INVALID' });
  return localHub(defaultDataDir(env));
}

/** A hub of this user on this machine: its state file says where it listens, its first token lies beside it. */
export async function localHub(dataDir: string): Promise<z.infer<typeof loginSchema> | undefined> {
  const [state, token] = await Promise.all([readIfThere(join(dataDir, 'hub.json')), readIfThere(join(dataDir, 'admin.token'))]);
  if (state === undefined || token === undefined) return undefined;
  const { httpUrl } = parseJson(hubStateSchema, state, { what: 'hub.json', maxBytes: LOGIN_MAX_BYTES, code: 'CONFIG_INVALID' });
  return { hub: httpUrl, token: Buffer.from(token).toString('utf8').trim() };
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw new SkerryError('CONFIG_INVALID', `${path} could not be read`, { cause });
  }
}

function present(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function sameOrigin(a: string, b: string): boolean {
  return URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin;
}
