import type { z } from 'zod';

/** Paths of objects in a schema that refuse members they do not know. */
export function strictPaths(schema: z.core.$ZodType, path = '(root)', seen = new Set<z.core.$ZodType>()): string[] {
  if (seen.has(schema)) return [];
  seen.add(schema);
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const into = (inner: z.core.$ZodType | null | undefined, name: string): string[] =>
    inner === null || inner === undefined ? [] : strictPaths(inner, `${path}.${name}`, seen);
  if (def.type === 'object') {
    const own = (def.catchall as z.core.$ZodTypes | undefined)?._zod.def.type === 'never' ? [path] : [];
    return [...own, ...Object.entries(def.shape).flatMap(([name, member]) => into(member, name))];
  }
  if (def.type === 'array') return into(def.element, '[]');
  if (def.type === 'tuple') return def.items.flatMap((item, index) => into(item, String(index)));
  if (def.type === 'record') return into(def.valueType, '{}');
  if (def.type === 'union') return def.options.flatMap((option, index) => into(option, `|${index}`));
  if (def.type === 'pipe') return [...into(def.in, 'in'), ...into(def.out, 'out')];
  return 'innerType' in def ? into(def.innerType, '?') : [];
}
