import { type Node, parse } from 'acorn';

/** A function of a script; offsets in characters, as the engine counts them. */
interface ScriptFunction {
  /** Names of the functions and classes it lies in, then its own; stays the same while the code elsewhere changes. */
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** What lies between the names of a key. */
const WITHIN = ' > ';

/** Every function of a script, and of each class the one that makes its fields, in the order they begin in. Throws acorn's `SyntaxError`. */
export function functionsOf(script: string): readonly ScriptFunction[] {
  const found: ScriptFunction[] = [];
  const names = new Map<Node, string>();
  const walk = (node: Node, scope: Scope): void => {
    nameParts(node, names);
    const inner = isFunction(node) || isClass(node) ? scope.within(names.get(node) ?? '') : scope;
    if (isFunction(node)) found.push({ key: inner.key, start: node.start, end: node.end });
    if (node.type === 'ClassBody') {
      const fields = fieldsOf(node);
      if (fields !== undefined) found.push({ key: scope.within('<fields>').key, ...fields });
    }
    for (const child of childrenOf(node)) walk(child, inner);
  };
  walk(parse(script, { ecmaVersion: 'latest', sourceType: 'script' }), new Scope(''));
  return found.toSorted((a, b) => a.start - b.start || b.end - a.end);
}

/**
 * The function the engine means by a range of its coverage (Chrome DevTools Protocol, `Profiler.FunctionCoverage`). It has a
 * method begin with its name, the parser with its parameters; and the maker of a class's fields end where it likes.
 */
export function functionLookup(functions: readonly ScriptFunction[]): (start: number, end: number) => ScriptFunction | undefined {
  const byEnd = new Map<number, ScriptFunction[]>();
  const fields = new Map<number, ScriptFunction>();
  for (const each of functions) {
    if (each.key.endsWith(`${WITHIN}<fields>`)) fields.set(each.start, each);
    else byEnd.set(each.end, [...(byEnd.get(each.end) ?? []), each]);
  }
  return (start, end) => fields.get(start) ?? byEnd.get(end)?.find((each) => each.start >= start);
}

/** What is named inside a function, a class or the script; the second of the same name is `name~2`. */
class Scope {
  readonly key: string;
  readonly #count = new Map<string, number>();

  constructor(key: string) {
    this.key = key;
  }

  within(name: string): Scope {
    const count = (this.#count.get(name) ?? 0) + 1;
    this.#count.set(name, count);
    const own = count === 1 && name !== '' ? name : `${name}~${count}`;
    return new Scope(this.key === '' ? own : `${this.key}${WITHIN}${own}`);
  }
}

function isFunction({ type }: Node): boolean {
  return type === 'FunctionDeclaration' || type === 'FunctionExpression' || type === 'ArrowFunctionExpression';
}

function isClass({ type }: Node): boolean {
  return type === 'ClassDeclaration' || type === 'ClassExpression';
}

/** Notes the names a node gives to functions and classes below it. */
function nameParts(node: Node, names: Map<Node, string>): void {
  const give = (to: unknown, from: unknown): void => {
    const name = nameOf(from);
    if (isNode(to) && name !== undefined && !names.has(to)) names.set(to, name);
  };
  const parts: Readonly<Record<string, unknown>> = { ...node };
  if (isFunction(node) || isClass(node)) give(node, parts['id']);
  if (node.type === 'VariableDeclarator') give(parts['init'], parts['id']);
  if (node.type === 'AssignmentExpression' || node.type === 'AssignmentPattern') give(parts['right'], parts['left']);
  if (node.type === 'Property' || node.type === 'MethodDefinition' || node.type === 'PropertyDefinition')
    give(parts['value'], parts['key']);
}

function nameOf(value: unknown): string | undefined {
  if (!isNode(value)) return undefined;
  const parts: Readonly<Record<string, unknown>> = { ...value };
  if (value.type === 'Identifier') return String(parts['name']);
  if (value.type === 'PrivateIdentifier') return `#${String(parts['name'])}`;
  if (value.type === 'Literal') return String(parts['value']);
  return value.type === 'MemberExpression' ? nameOf(parts['property']) : undefined;
}

/** From the first field an instance has to the last. */
function fieldsOf(body: Node): { readonly start: number; readonly end: number } | undefined {
  const fields = childrenOf(body).filter(
    (member) => member.type === 'PropertyDefinition' && !('static' in member && member.static === true),
  );
  const [first, last] = [fields[0], fields.at(-1)];
  return first === undefined || last === undefined ? undefined : { start: first.start, end: last.end };
}

function childrenOf(node: Node): readonly Node[] {
  return Object.values(node).flatMap((value: unknown) => (Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'start' in value;
}
