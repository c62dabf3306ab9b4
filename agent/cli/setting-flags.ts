import type { SettingTable } from '#shared/kernel/settings.js';

/** The settings given on the command line, by key: commander calls `--http-port` httpPort. */
export function readSettingFlags<Key extends string>(flags: object, table: SettingTable<Key>): Partial<Record<Key, string>> {
  const values = new Map<string, unknown>(Object.entries(flags));
  const given: Partial<Record<Key, string>> = {};
  for (const [key, entry] of table) {
    const value = values.get(entry.flag.replaceAll(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase()));
    if (typeof value === 'string') given[key] = value;
  }
  return given;
}
