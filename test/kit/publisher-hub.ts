import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from '#shared/bundle/digest.js';
import { contentIdentity, decodeManifest } from '#shared/bundle/manifest-codec.js';
import { SkerryError } from '#shared/kernel/errors.js';

interface StoredVersion {
  readonly version: number;
  readonly manifest: string;
  readonly contentIdentity: string;
  readonly role: string;
  readonly files: unknown;
}

/** A hub as publishers see it, over real HTTP: keeps lengths and digests, not bytes, so that any size can be sent to it. */
export interface PublisherHubServer {
  readonly url: string;
  readonly token: string;
  readonly artifacts: ReadonlyMap<string, number>;
  readonly versions: ReadonlyMap<string, readonly StoredVersion[]>;
  readonly metadata: Map<string, Uint8Array>;
  /** Requests so far, as `METHOD /path`. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export async function startPublisherHub(): Promise<PublisherHubServer> {
  const token = 'publisher-token';
  const artifacts = new Map<string, number>();
  const versions = new Map<string, StoredVersion[]>();
  const metadata = new Map<string, Uint8Array>();
  const requests: string[] = [];

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = decodeURIComponent(request.url ?? '').replace('/api/v1/', '');
    const [kind = '', name = '', rest = ''] = path.split('/');
    const route = `${request.method} ${kind}`;
    requests.push(`${request.method} /${path}`);
    const json = (status: number, value: unknown): void => void response.writeHead(status).end(JSON.stringify(value));
    if (request.headers.authorization !== `Bearer ${token}`) throw new SkerryError('API_UNAUTHENTICATED', 'no such token');
    if (route === 'GET trust') {
      const file = metadata.get(rest);
      if (file === undefined) throw new SkerryError('API_NOT_FOUND', `there is no ${rest}`);
      response.writeHead(200).end(file);
    } else if (route === 'HEAD artifacts') {
      response.writeHead(artifacts.has(name) ? 200 : 404).end();
    } else if (route === 'PUT artifacts') {
      const { digest, length } = await digestBody(request);
      if (digest !== name) throw new SkerryError('ARTIFACT_DIGEST_MISMATCH', `got ${digest}`);
      artifacts.set(digest, length);
      json(201, { digest, length });
    } else if (route === 'GET models') {
      if (!versions.has(name)) throw new SkerryError('MODEL_UNKNOWN', `there is no model ${name}`);
      json(200, { model: name, versions: versions.get(name) });
    } else if (route === 'POST models') {
      json(201, accept(name, JSON.parse(await textBody(request)) as { manifest: string; role: string; files: unknown }));
    } else {
      throw new SkerryError('API_NOT_FOUND', `nothing at ${path}`);
    }
  };

  const accept = (model: string, body: { manifest: string; role: string; files: unknown }): StoredVersion => {
    const bytes = Buffer.from(body.manifest, 'base64');
    const manifest = decodeManifest(bytes);
    const missing = manifest.artifacts.find((artifact) => artifacts.get(artifact.digest) !== artifact.length);
    if (missing !== undefined) throw new SkerryError('ARTIFACT_MISSING', `${missing.digest} is not here`);
    const before = versions.get(model) ?? [];
    if (before.some((entry) => entry.version >= manifest.version))
      throw new SkerryError('VERSION_NOT_NEWER', `${manifest.version} is not newer`);
    const stored = {
      version: manifest.version,
      manifest: digestOf(bytes),
      contentIdentity: contentIdentity(manifest),
      role: body.role,
      files: body.files,
    };
    versions.set(model, [...before, stored]);
    return stored;
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!(error instanceof SkerryError)) throw error;
      response.writeHead(error.http, { connection: 'close' }).end(JSON.stringify(error.toBody()));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    artifacts,
    versions,
    metadata,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function digestBody(request: IncomingMessage): Promise<{ digest: string; length: number }> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    hash.update(part);
    length += part.byteLength;
  }
  return { digest: hash.digest('hex'), length };
}

async function textBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}
