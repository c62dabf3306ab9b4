import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Labels } from '#shared/protocol/device.js';
import { labelKeySchema, labelValueSchema } from '#shared/protocol/device.js';
import { lexSelector, type Token } from './selector-lexer.js';

/** One condition of a selector; `values` are sorted and free of repetition. */
type Requirement =
  | { readonly operator: 'exists' | 'absent'; readonly key: string }
  | { readonly operator: 'in' | 'notin'; readonly key: string; readonly values: readonly string[] };

/** A parsed label selector. */
export interface Selector {
  readonly requirements: readonly Requirement[];
  /** True when every requirement holds. As in Kubernetes, `!=` and `notin` also hold for a label that is not there. */
  matches(labels: Readonly<Record<string, string>>): boolean;
  /** Canonical text; parsing it gives an equal selector. */
  toString(): string;
}

/**
 * Parses the set-based label selectors of Kubernetes ("Labels and Selectors"): `site=lab,tier in (gold,silver),!legacy`.
 * An empty text selects everything. Throws `SELECTOR_INVALID` with `details.position`.
 */
export function parseSelector(text: string): Selector {
  if (text.length > LIMITS.selectorLength) throw invalid(`is longer than ${LIMITS.selectorLength} characters`, LIMITS.selectorLength);
  const requirements = new Parser(lexSelector(text)).parse();
  return {
    requirements,
    matches: (labels) => requirements.every((requirement) => holds(requirement, labels)),
    toString: () => requirements.map(format).join(','),
  };
}

/** True when the labels meet one requirement. */
function holds(requirement: Requirement, labels: Readonly<Labels>): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  if (!('values' in requirement)) return (value !== undefined) === (requirement.operator === 'exists');
  const listed = value !== undefined && requirement.values.includes(value);
  return listed === (requirement.operator === 'in');
}

function format(requirement: Requirement): string {
  if (!('values' in requirement)) return requirement.operator === 'exists' ? requirement.key : `!${requirement.key}`;
  const { key, operator, values } = requirement;
  if (values.length === 1) return `${key}${operator === 'in' ? '=' : '!='}${values[0]}`;
  return `${key} ${operator} (${values.join(',')})`;
}

/** Recursive descent over the tokens; the last token is always `end`. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    if (this.#peek().kind === 'end') return requirements;
    for (;;) {
      requirements.push(this.#requirement());
      if (requirements.length > LIMITS.selectorRequirements) {
        throw invalid(`has more than ${LIMITS.selectorRequirements} requirements`, this.#peek().at);
      }
      const token = this.#take();
      if (token.kind === 'end') return requirements;
      if (token.kind !== ',') throw invalid('is not valid: expected "," or the end', token.at);
    }
  }

  #requirement(): Requirement {
    if (this.#peek().kind === '!') {
      this.#take();
      return { operator: 'absent', key: this.#key() };
    }
    const key = this.#key();
    const token = this.#peek();
    if (token.kind === '=' || token.kind === '==' || token.kind === '!=') {
      this.#take();
      return { operator: token.kind === '!=' ? 'notin' : 'in', key, values: [this.#value()] };
    }
    if (token.kind === 'word') {
      if (token.text !== 'in' && token.text !== 'notin') throw invalid('is not valid: expected "=", "==", "!=", "in" or "notin"', token.at);
      this.#take();
      return { operator: token.text, key, values: this.#values() };
    }
    return { operator: 'exists', key };
  }

  #values(): string[] {
    this.#expect('(');
    const values = new Set<string>();
    do {
      values.add(this.#value());
      if (values.size > LIMITS.selectorValues) throw invalid(`has more than ${LIMITS.selectorValues} values`, this.#peek().at);
    } while (this.#accept(','));
    this.#expect(')');
    return [...values].sort();
  }

  #key(): string {
    const token = this.#take();
    if (token.kind !== 'word' || !labelKeySchema.safeParse(token.text).success)
      throw invalid('is not valid: expected a label key', token.at);
    return token.text;
  }

  /** A label value; an empty one where none stands. */
  #value(): string {
    const token = this.#peek();
    if (token.kind !== 'word') return '';
    this.#take();
    if (!labelValueSchema.safeParse(token.text).success) throw invalid('is not valid: expected a label value', token.at);
    return token.text;
  }

  #expect(kind: '(' | ')'): void {
    if (!this.#accept(kind)) throw invalid(`is not valid: expected "${kind}"`, this.#peek().at);
  }

  #accept(kind: Token['kind']): boolean {
    if (this.#peek().kind !== kind) return false;
    this.#take();
    return true;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', at: 0 };
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }
}

function invalid(why: string, position: number): SkerryError {
  return new SkerryError('SELECTOR_INVALID', `the label selector ${why}, at position ${position}`, { details: { position } });
}
