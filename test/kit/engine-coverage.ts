import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { parseJson } from '#shared/kernel/json.js';

/** A function that was called, and where it lies in its script, in characters. */
export interface CalledFunction {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const coverageSchema = z.object({
  result: z.array(
    z.object({
      url: z.string(),
      functions: z.array(
        z.object({
          functionName: z.string(),
          ranges: z.tuple([z.object({ startOffset: z.int(), endOffset: z.int(), count: z.int() })], z.unknown()),
        }),
      ),
    }),
  ),
});

/** What processes wrote of their calls into the folder of NODE_V8_COVERAGE (nodejs.org, Command-line API), by URL of the script. */
export async function readCalls(folder: string): Promise<ReadonlyMap<string, readonly CalledFunction[]>> {
  const calls = new Map<string, CalledFunction[]>();
  for (const file of await readdir(folder)) {
    const bytes = await readFile(path.join(folder, file));
    const { result } = parseJson(coverageSchema, bytes, { what: file, maxBytes: 64 * 1024 * 1024 });
    for (const { url, functions } of result) {
      const called = functions.flatMap(({ functionName: name, ranges: [{ startOffset: start, endOffset: end, count }] }) =>
        count > 0 ? [{ name, start, end }] : [],
      );
      calls.set(url, [...(calls.get(url) ?? []), ...called]);
    }
  }
  return calls;
}
