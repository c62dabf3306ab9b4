import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { DEVICE_CHANNELS, TOPIC_ROOT } from '#shared/protocol/topics.js';

/**
 * The topic rules of hub/broker/decide/topic-rules.ts as a mosquitto `acl_file`. `%u` is the user name, which is the device id; the
 * shard level stays a wildcard because mosquitto can not compute it, and the hub drops messages whose shard does not fit.
 * Set `use_username_as_clientid true` beside it, so that no device can take over another's session.
 */
export function mosquittoAcl(fleet: string, hubUser: string): string {
  const prefix = `${TOPIC_ROOT}/${fleet}`;
  const channels = Object.entries(DEVICE_CHANNELS).map(
    ([channel, { direction }]) => `pattern ${direction === 'up' ? 'write' : 'read'} ${prefix}/+/%u/${channel}`,
  );
  return [
    '# Written by the hub at every start, and whenever a device comes or leaves; have mosquitto read it again with SIGHUP.',
    '# mosquitto.conf: allow_anonymous false, use_username_as_clientid true, acl_file, password_file',
    `user ${hubUser}`,
    `topic readwrite ${prefix}/#`,
    '',
    ...channels,
    `pattern read ${prefix}/trust/+`,
    `pattern read ${prefix}/blob/#`,
    '',
  ].join('\n');
}

/** What `mosquitto_passwd` uses; the passwords are 256 random bits, so more rounds would protect nothing. */
const ITERATIONS = 101;

/**
 * The hash part of a mosquitto 2 `password_file` entry: `$7$rounds$salt$hash`, PBKDF2 with HMAC-SHA-512, a salt of 12 bytes
 * and 64 bytes of output, both base64 (mosquitto 2.0, src/password_mosq.c).
 */
export function mosquittoHash(password: string, salt: Uint8Array = randomBytes(12)): string {
  const hash = pbkdf2Sync(password, salt, ITERATIONS, 64, 'sha512');
  return `$7$${ITERATIONS}$${Buffer.from(salt).toString('base64')}$${hash.toString('base64')}`;
}

/** A whole `password_file`, one line per user. */
export function mosquittoPasswordFile(entries: Iterable<{ readonly username: string; readonly hash: string }>): string {
  let text = '';
  for (const { username, hash } of entries) text += `${username}:${hash}\n`;
  return text;
}
