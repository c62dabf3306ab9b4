/** Bytes in binary units with one decimal: "1.5 MiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(Math.round(value)) : value.toFixed(1)} ${units[unit] ?? 'B'}`;
}

/** Milliseconds for a person: "0.42 ms", "12 ms", "3.2 s", "4 min 10 s", "2 h 5 min", "3 d 4 h". */
export function formatDuration(millis: number): string {
  if (millis < 10) return `${millis.toFixed(2)} ms`;
  if (millis < 1_000) return `${Math.round(millis)} ms`;
  if (millis < 60_000) return `${(millis / 1_000).toFixed(1)} s`;
  const total = Math.round(millis / 1_000);
  const steps = [
    [86_400, 'd', 3_600, 'h'],
    [3_600, 'h', 60, 'min'],
    [60, 'min', 1, 's'],
  ] as const;
  for (const [size, name, nextSize, nextName] of steps) {
    if (total >= size) return `${Math.floor(total / size)} ${name} ${Math.floor((total % size) / nextSize)} ${nextName}`;
  }
  return `${total} s`;
}

/** How long ago `at` was, seen from `now` (both epoch milliseconds): "just now", "5 min ago". */
export function formatAgo(at: number, now: number): string {
  const millis = now - at;
  if (millis < 2_000) return 'just now';
  if (millis < 60_000) return `${Math.round(millis / 1_000)} s ago`;
  if (millis < 3_600_000) return `${Math.round(millis / 60_000)} min ago`;
  if (millis < 86_400_000) return `${Math.round(millis / 3_600_000)} h ago`;
  return `${Math.round(millis / 86_400_000)} d ago`;
}
