/** A word as a POSIX shell reads it back: unchanged when it needs no quotes, else in single quotes (Shell Command Language, 2.2.2). */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
