import { z } from 'zod';

/**
 * An object in a document that two releases exchange (docs/PROTOCOL.md, "How formats grow"). Members that a later release
 * adds are kept, so that a document passed on, stored or verified stays whole. The type names only the members known here:
 * what we write is exact, what we read is tolerant.
 *
 * A plain `z.object` is enough where the reader is the last one to see a document: it drops what it does not know. A document
 * that a person writes uses `z.strictObject`, which catches typing errors.
 */
export function openObject<Shape extends z.core.$ZodLooseShape>(shape: Shape): z.ZodObject<z.core.util.Writeable<Shape>> {
  return z.looseObject(shape);
}
