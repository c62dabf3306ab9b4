/** ln(e^a + e^b) without overflow. */
export function logAdd(a: number, b: number): number {
  const high = Math.max(a, b);
  return high === Number.NEGATIVE_INFINITY ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

/** ln of the mean of e^x over `values`. */
export function logMeanExp(values: readonly number[]): number {
  let total = Number.NEGATIVE_INFINITY;
  for (const value of values) total = logAdd(total, value);
  return total - Math.log(values.length);
}

/** The `x` in [low, high] at which the increasing `f` reaches 0, to 60 halvings; an end when it does so outside. */
export function bisect(f: (x: number) => number, low: number, high: number): number {
  if (f(low) >= 0) return low;
  if (f(high) <= 0) return high;
  let [left, right] = [low, high];
  for (let i = 0; i < 60; i++) {
    const middle = (left + right) / 2;
    if (f(middle) < 0) left = middle;
    else right = middle;
  }
  return (left + right) / 2;
}
