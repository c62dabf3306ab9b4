import { readFile } from 'node:fs/promises';
import { until } from '../kit/until.js';
import type { BootedRoot } from './booted-root.js';

/** A unit of a booted system, as systemd sees it. */
export class Unit {
  readonly name: string;
  readonly #root: BootedRoot;

  constructor(root: BootedRoot, name: string) {
    this.name = name;
    this.#root = root;
  }

  /** Properties by their names; a name that systemd does not know is missing. */
  async show<K extends string>(...names: readonly K[]): Promise<Readonly<Record<K, string | undefined>>> {
    const text = await this.#root.must(['systemctl', 'show', '--no-pager', `--property=${names.join(',')}`, this.name]);
    const lines = text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
    const found = new Map<string, string>(lines);
    return Object.fromEntries(names.map((name) => [name, found.get(name)])) as Record<K, string | undefined>;
  }

  async mainPid(): Promise<number> {
    return Number((await this.show('MainPID')).MainPID);
  }

  /** Waits until the unit is active with another process than `before`, which it also is when it was started again. */
  async active(before = 0): Promise<number> {
    return this.until('to be active', async () => {
      const { ActiveState, MainPID } = await this.show('ActiveState', 'MainPID');
      const pid = Number(MainPID);
      return ActiveState === 'active' && pid !== 0 && pid !== before && pid;
    });
  }

  /** Waits for a condition; when it does not come, shows what the unit wrote. */
  async until<T>(what: string, probe: () => Promise<T | undefined | false>, deadlineMs = 180_000): Promise<T> {
    try {
      return await until(`${this.name} ${what}`, probe, { deadlineMs, everyMs: 200 });
    } catch (cause) {
      const state = await this.#root.run(['systemctl', 'status', '--no-pager', '--lines=0', this.name]);
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${state.text}\n${await this.journal(60)}`, { cause });
    }
  }

  /** Its last lines in the journal, systemd's own about it among them. */
  journal(lines = 1_000): Promise<string> {
    return this.#root.must(['journalctl', '--no-pager', '--output=cat', `--lines=${lines}`, `--unit=${this.name}`]);
  }

  /** Makes the unit different from its file until the next boot. */
  async override(text: string): Promise<void> {
    const folder = `/run/systemd/system/${this.name}.d`;
    await this.#root.must([
      'sh',
      '-c',
      'mkdir -p "$1" && printf "%s" "$2" > "$1/test.conf" && systemctl daemon-reload',
      'sh',
      folder,
      text,
    ]);
  }

  /** Exposure as `systemd-analyze security` counts it, from 0 (none) to 10. */
  async exposure(): Promise<number> {
    const text = await this.#root.must(['systemd-analyze', 'security', '--no-pager', this.name]);
    const level = /Overall exposure level for \S+: ([\d.]+)/.exec(text)?.[1];
    if (level === undefined) throw new Error(`no exposure level in:\n${text}`);
    return Number(level);
  }

  /** Where the local API of the agent answers that is the unit's process now. */
  async url(): Promise<string> {
    return this.until('to say where its local API is', async () => {
      const running = JSON.parse(await readFile(this.#root.inside('/var/lib/skerry-agent/agent.json'), 'utf8')) as {
        pid: number;
        http: string;
      };
      return running.pid === (await this.mainPid()) && running.http;
    });
  }
}
