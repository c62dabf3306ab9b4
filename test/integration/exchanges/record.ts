import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

// A record of what real servers answered lies beside the checkout, where there is one. Its README has the form of a line.

/** Folder of the record; undefined where it is not here. */
export function recordFolder(): string | undefined {
  const folder = process.env['SKERRY_EXCHANGES'] ?? path.resolve('..', 'shared', 'exchanges');
  if (existsSync(folder)) return folder;
  // A checkout may be one of several that lie in a folder of their own.
  const higher = path.resolve('..', '..', 'shared', 'exchanges');
  return existsSync(higher) ? higher : undefined;
}

/** A body as the record writes it. */
const body = {
  body_text: z.string().optional(),
  body_base64: z.string().optional(),
  /** Of a long one. */
  body_parts: z.array(z.union([z.object({ text: z.string() }), z.object({ repeat_text: z.string(), times: z.number() })])).optional(),
};

export type RecordedBody = z.infer<z.ZodObject<typeof body>>;

const request = {
  ...body,
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  http_version: z.string().optional(),
  no_host: z.boolean().optional(),
  chunk_sizes: z.array(z.number()).optional(),
  expect_continue: z.boolean().optional(),
  raw_base64: z.string().optional(),
  half_close: z.boolean().optional(),
  close_after_ms: z.number().optional(),
  wait_s: z.number().optional(),
  same_connection_as_previous: z.boolean().optional(),
};

/** What a server answered over HTTP. */
const answer = z.object({
  ...body,
  status: z.number().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  /** Of a long body there are only its length and its digest. */
  body_length: z.number().optional(),
  no_answer: z.string().optional(),
  connection_after: z.enum(['open', 'closed']).optional(),
  /** The client closed without waiting. */
  note: z.string().optional(),
});

export const httpExchangeSchema = z.object({
  ...request,
  id: z.string(),
  group: z.string(),
  why: z.string(),
  port: z.string().optional(),
  /** Set-up of the server that answered. */
  listener: z.string().optional(),
  chain: z.string().optional(),
  volatile: z.array(z.string()),
  /** What was kept of a long body. */
  body_kept: z.string().optional(),
  compare_only: z.string().optional(),
  /** Another answer that the server gives now and then. */
  also_seen: answer.optional(),
  server_may_die: z.boolean().optional(),
  python_backend: z.boolean().optional(),
  wait_before_ms: z.number().optional(),
  background: z.array(z.object({ ...request, times: z.number().optional(), wait_ms: z.number().optional() })).optional(),
  /** POSIX segments that the client makes first. */
  needs: z.object({ shm: z.record(z.string(), z.object({ byte_size: z.number(), start_base64: z.string() })).optional() }).optional(),
  response: answer,
});

/** One exchange over HTTP. */
export type HttpExchange = z.infer<typeof httpExchangeSchema>;

/** Reads the lines of a file of the record, in order. */
export async function readRecord<T>(file: string, schema: z.ZodType<T>): Promise<readonly T[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => schema.parse(JSON.parse(line)));
}

/** The bytes of a body. */
export function bodyBytes({ body_text: text, body_base64: base64, body_parts: parts }: RecordedBody): Buffer {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  if (parts === undefined) return Buffer.from(text ?? '');
  return Buffer.concat(parts.map((part) => Buffer.from('text' in part ? part.text : part.repeat_text.repeat(part.times))));
}
