import { open, rm } from 'node:fs/promises';
import type { NetConnectOpts } from 'node:net';
import { compareTexts, type Difference, isMembers } from './compare.js';
import { parseLenient } from './lenient-json.js';
import { type RawAnswer, RawConnection } from './raw-http.js';
import { bodyBytes, type HttpExchange } from './record.js';

/** One exchange, and where our answer differs. */
export interface Replayed {
  readonly exchange: HttpExchange;
  readonly ours: RawAnswer | undefined;
  readonly differences: readonly Difference[];
}

interface ReplayOptions {
  /** Where the server listens, by the `port` of an exchange. */
  readonly whereIs: (exchange: HttpExchange) => NetConnectOpts;
  /** Models that the server under test lacks: in lists they are passed over. */
  readonly lacking: ReadonlySet<string>;
}

const PATIENCE_MS = 5_000;

/** Longest wait that is kept: what is recorded are waits for slow models. */
const LONGEST_WAIT_MS = 300;

/** Plays exchanges in order against a server that runs. */
export async function replay(exchanges: readonly HttpExchange[], options: ReplayOptions): Promise<readonly Replayed[]> {
  const segments = new Set<string>();
  const played: Replayed[] = [];
  let connection: RawConnection | undefined;
  try {
    for (const exchange of exchanges) {
      for (const [key, segment] of Object.entries(exchange.needs?.shm ?? {})) {
        segments.add(key);
        await writeSegment(key, segment);
      }
      if (exchange.same_connection_as_previous !== true || connection?.isOpen !== true) {
        connection?.close();
        connection = await RawConnection.open(options.whereIs(exchange));
      }
      const background = await sendBackground(exchange, options.whereIs(exchange));
      await pause(exchange.wait_before_ms);
      const wait = exchange.wait_s === undefined ? PATIENCE_MS : exchange.wait_s * 1_000;
      const ours = await connection.exchange(exchange, wait);
      if (exchange.response.connection_after === 'closed') await connection.ended(500);
      played.push({ exchange, ours, differences: compareAnswers(exchange, ours, connection.isOpen, options.lacking) });
      for (const one of background) one.close();
    }
  } finally {
    connection?.close();
    await Promise.all([...segments].map((key) => rm(segmentFile(key), { force: true })));
  }
  return played;
}

/** A POSIX segment is a file here. */
const segmentFile = (key: string): string => `/dev/shm${key}`;

async function writeSegment(key: string, { byte_size: size, start_base64: start }: { byte_size: number; start_base64: string }) {
  const file = await open(segmentFile(key), 'w');
  await file.truncate(size);
  await file.write(Buffer.from(start, 'base64'), 0, null, 0);
  await file.close();
}

async function sendBackground({ background = [] }: HttpExchange, where: NetConnectOpts): Promise<readonly RawConnection[]> {
  const opened: RawConnection[] = [];
  for (const { times = 1, wait_ms: wait, ...request } of background) {
    for (let time = 0; time < times; time++) {
      const connection = await RawConnection.open(where);
      opened.push(connection);
      void connection.exchange(request, PATIENCE_MS);
      await pause(wait);
    }
  }
  return opened;
}

async function pause(wait: number | undefined): Promise<void> {
  if (wait !== undefined) await new Promise((resolve) => setTimeout(resolve, Math.min(wait, LONGEST_WAIT_MS)));
}

function compareAnswers(
  exchange: HttpExchange,
  ours: RawAnswer | undefined,
  isOpen: boolean,
  lacking: ReadonlySet<string>,
): readonly Difference[] {
  const theirs = exchange.response;
  if (theirs.note !== undefined) return [];
  const theirStatus = theirs.status === undefined ? 'no answer' : String(theirs.status);
  const ourStatus = ours === undefined ? 'no answer' : String(ours.status);
  if (theirs.status === undefined || ours === undefined || theirStatus !== ourStatus) {
    return theirStatus === ourStatus ? [] : [{ at: 'status', theirs: theirStatus, ours: ourStatus }];
  }
  const after = theirs.connection_after;
  const state = isOpen ? 'open' : 'closed';
  return [
    ...(after === undefined || after === state ? [] : [{ at: 'connection', theirs: after, ours: state }]),
    ...compareHeaders(exchange, ours),
    ...(exchange.method === 'HEAD' ? [] : compareBodies(exchange, ours, lacking)),
  ];
}

/** Headers that tell what the body is. */
const COMPARED = ['Content-Type', 'Content-Encoding'];

function compareHeaders({ response }: HttpExchange, ours: RawAnswer): readonly Difference[] {
  const differences: Difference[] = [];
  for (const name of COMPARED) {
    const their = (response.headers?.[name] ?? '(absent)').replace(/;.*/, '');
    const our = (ours.headers[name.toLowerCase()] ?? '(absent)').replace(/;.*/, '');
    if (their !== our) differences.push({ at: `header ${name}`, theirs: their, ours: our });
  }
  const their = response.headers?.[HEADER_LENGTH] === undefined ? '(absent)' : 'present';
  const our = ours.headers[HEADER_LENGTH.toLowerCase()] === undefined ? '(absent)' : 'present';
  return their === our ? differences : [...differences, { at: `header ${HEADER_LENGTH}`, theirs: their, ours: our }];
}

export const HEADER_LENGTH = 'Inference-Header-Content-Length';

function compareBodies(exchange: HttpExchange, ours: RawAnswer, lacking: ReadonlySet<string>): readonly Difference[] {
  const { response: theirs, volatile } = exchange;
  // Of a long body only its length and digest are kept, which our JSON, written otherwise, cannot have.
  if (theirs.body_length !== undefined) return [];
  const their = splitBody(bodyBytes(theirs), theirs.headers?.[HEADER_LENGTH]);
  const our = splitBody(ours.body, ours.headers[HEADER_LENGTH.toLowerCase()]);
  if (ours.status >= 400) return compareErrors(their.text, our.text);
  const differences = compareTexts(withoutModels(their.text, exchange, lacking), withoutModels(our.text, exchange, lacking), volatile);
  if (their.binary.equals(our.binary) || volatile.includes('$')) return differences;
  const shown = (bytes: Buffer): string => bytes.subarray(0, 64).toString('hex');
  return [...differences, { at: 'binary', theirs: shown(their.binary), ours: shown(our.binary) }];
}

/** Parts of a body: JSON, and the tensors behind it. */
export function splitBody(body: Buffer, headerLength: string | undefined): { readonly text: string; readonly binary: Buffer } {
  const length = headerLength === undefined ? body.byteLength : Number(headerLength);
  return { text: body.toString('utf8', 0, length), binary: body.subarray(length) };
}

/** The words of an error are ours; its form is an object with a text `error`. */
function compareErrors(their: string, our: string): readonly Difference[] {
  const form = (text: string): string => {
    const value = parseLenient(text);
    if (text === '') return 'empty';
    return isMembers(value) && typeof value['error'] === 'string' ? 'an object with "error"' : 'another body';
  };
  return form(their) === form(our) ? [] : [{ at: 'error', theirs: form(their), ours: form(our) }];
}

/** A list of models without those that are not to be compared. */
function withoutModels(text: string, { compare_only: only }: HttpExchange, lacking: ReadonlySet<string>): string {
  const keep = (entry: unknown): boolean => {
    const name = typeof entry === 'object' && entry !== null && 'name' in entry ? entry.name : undefined;
    return typeof name !== 'string' || (only === undefined ? !lacking.has(name) : name === only);
  };
  if (!text.startsWith('[{"name"') && !text.startsWith('{"model_stats"')) return text;
  const value: unknown = JSON.parse(text);
  if (Array.isArray(value)) return JSON.stringify(value.filter(keep));
  if (typeof value !== 'object' || value === null || !('model_stats' in value) || !Array.isArray(value.model_stats)) return text;
  return JSON.stringify({ ...value, model_stats: value.model_stats.filter(keep) });
}
