/**
 * A map with a maximum size: setting a key makes it the newest, and the oldest entry is evicted beyond the maximum. For what is
 * remembered about things that come and go for as long as the process runs; reading a key does not make it newer.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#max) {
      const [oldest] = this.keys();
      if (oldest !== undefined) this.delete(oldest);
    }
    return this;
  }
}
