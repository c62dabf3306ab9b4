/** A count with its noun, which takes an "s" in the plural: "1 device", "3 devices". */
export function counted(count: number, noun: string): string {
  return `${count} ${count === 1 ? noun : `${noun}s`}`;
}
