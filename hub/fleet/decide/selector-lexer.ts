/** One piece of a selector's text; `at` is its position, from 0. */
export type Token =
  | { readonly kind: 'word'; readonly text: string; readonly at: number }
  | { readonly kind: '(' | ')' | ',' | '!' | '=' | '==' | '!=' | 'end'; readonly at: number };

/** Cuts a selector into tokens; the last is `end`. Any text can be cut: whether a word is a key or value is for the parser. */
export function lexSelector(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at, at + 2);
    const first = rest.charAt(0);
    if (isSpace(first)) {
      at += 1;
    } else if (rest === '==' || rest === '!=') {
      tokens.push({ kind: rest, at });
      at += 2;
    } else if (isSign(first)) {
      tokens.push({ kind: first, at });
      at += 1;
    } else {
      let end = at + 1;
      while (end < text.length && !isSpace(text.charAt(end)) && !isSign(text.charAt(end))) end += 1;
      tokens.push({ kind: 'word', text: text.slice(at, end), at });
      at = end;
    }
  }
  tokens.push({ kind: 'end', at: text.length });
  return tokens;
}

function isSpace(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\n' || character === '\r';
}

function isSign(character: string): character is '(' | ')' | ',' | '!' | '=' {
  return character === '(' || character === ')' || character === ',' || character === '!' || character === '=';
}
