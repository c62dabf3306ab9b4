import type { SettingTable } from '#shared/kernel/settings.js';

/** `--name value ...` as the command of a program reads it. */
export function settingFlags<Key extends string>(table: SettingTable<Key>, args: readonly string[]): Partial<Record<Key, string>> {
  const keys = new Map(table.map(([key, entry]) => [`--${entry.flag}`, key]));
  const flags: Partial<Record<Key, string>> = {};
  for (let i = 0; i < args.length; i += 2) {
    const key = keys.get(args[i] ?? '');
    if (key === undefined) throw new Error(`no such setting: ${args[i]}`);
    flags[key] = args[i + 1] ?? '';
  }
  return flags;
}
