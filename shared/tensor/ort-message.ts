/** Longest message kept; beyond it the runtime repeats itself. */
const LENGTH = 1500;

/** Where the runtime was built: what follows is the place in its source and the C++ signature of the function there. */
const PLACE = /(?:\/onnxruntime_src\/|[A-Za-z]:\\[^\s:]*\\onnxruntime\\|\/[^\s:]*\/onnxruntime\/)[^\s:]*\.(?:cc|cpp|h|hpp|cu|cuh):\d+ ?/;

/** The same in its short form: file, line and name of the function. */
const SHORT_PLACE = /\b[\w./-]+\.(?:cc|cpp|h|hpp|cu|cuh):\d+ [\w:~<>]+ /g;

/** What the runtime threw, as its sentence alone: on one line, without places in its source, C++ signatures and stack traces. */
export function ortMessage(thrown: unknown): string {
  let text = (thrown instanceof Error ? thrown.message : String(thrown)).replace(/\s*Stacktrace:[\s\S]*$/i, '').replaceAll(/\s+/g, ' ');
  for (let found = PLACE.exec(text); found !== null; found = PLACE.exec(text)) {
    const before = text.slice(0, found.index);
    const after = withoutSignature(text.slice(found.index + found[0].length));
    text = before.endsWith(':') && after !== '' ? `${before} ${after}` : before + after;
  }
  const clean = text
    .replace(/^Load model from .*? failed: ?/, '')
    .replace(SHORT_PLACE, '')
    .replaceAll(/ {2,}/g, ' ')
    .trim();
  return clean.length <= LENGTH ? clean : `${clean.slice(0, LENGTH)} ...`;
}

/**
 * The text behind a signature as compilers print it: return type, name, parameters in balanced parentheses, qualifiers, values of
 * template parameters. As it is where it begins with none.
 */
function withoutSignature(text: string): string {
  // The sentence itself may have parentheses; a signature has a name with "::" or "operator" before its first one.
  const open = text.indexOf('(');
  if (open < 0 || !/::|^\w+ \w+$|^\w+$/.test(text.slice(0, open))) return text;
  let at = closing(text, open);
  // A function within a function (a lambda), or `operator()` followed by its parameters.
  for (let next = at; next > 0; ) {
    while (text[at] === '>') at++;
    next = /^(\(|::)/.test(text.slice(at, at + 2)) ? text.indexOf('(', at) : 0;
    if (next > 0) at = closing(text, next);
  }
  if (at <= 0) return text;
  let rest = text.slice(at).replace(/^( const| noexcept| volatile| &{1,2}| mutable)+/, '');
  if (/^ ?\[(with|T =|\w+ =)/.test(rest)) rest = rest.slice(closing(rest, rest.indexOf('[')));
  // The condition that did not hold stands in front of the sentence that says what that means.
  return rest.trimStart().replace(/^.{1,300}? was false\. (?=\S)/, '');
}

const PAIRS: Readonly<Partial<Record<string, string>>> = { '(': ')', '[': ']' };

/** Where the bracket that opens at `open` is closed, one behind it; 0 when it is not. */
function closing(text: string, open: number): number {
  const from = text[open] ?? '';
  const to = PAIRS[from];
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === from) depth++;
    else if (text[at] === to && --depth === 0) return at + 1;
  }
  return 0;
}
