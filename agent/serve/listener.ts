import { chmod, lstat, unlink } from 'node:fs/promises';
import net from 'node:net';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';

const SOCKET_MODE = 0o660;

/** Listens on TCP; gives the port taken. `SERVE_LISTEN_FAILED` when it cannot. */
export async function listenTcp(server: net.Server, host: string, port: number): Promise<number> {
  await listen(server, { host, port }, `${host}:${port}`);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/**
 * Listens on a Unix socket that owner and group may use. A socket file that nobody listens on any more (its process was
 * killed) is replaced; false where the disk is read-only; one that somebody listens on, or a file that is no socket, is left alone: `SERVE_LISTEN_FAILED`.
 */
export async function listenUnix(server: net.Server, path: string): Promise<boolean> {
  try {
    await removeStale(path);
    await listen(server, { path }, path);
  } catch (cause) {
    // A disk that takes no writes takes no socket either, and must not keep the device from serving (R2).
    if (cause instanceof Error && errnoOf(cause.cause) === 'EROFS') return false;
    throw cause;
  }
  await chmod(path, SOCKET_MODE);
  return true;
}

async function removeStale(path: string): Promise<void> {
  const stats = await lstat(path).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw new SkerryError('SERVE_LISTEN_FAILED', `cannot examine ${path}`, { cause });
  });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new SkerryError('SERVE_LISTEN_FAILED', `${path} exists and is no socket`);
  if (await answers(path)) throw new SkerryError('SERVE_LISTEN_FAILED', `another process listens on ${path}`);
  await unlink(path).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw new SkerryError('SERVE_LISTEN_FAILED', `cannot replace the stale socket ${path}`, { cause });
  });
}

/** True unless a connection is refused: an unclear answer must not cost another process its socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (cause) => {
      const code = errnoOf(cause);
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

function listen(server: net.Server, where: net.ListenOptions, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error): void => {
      reject(new SkerryError('SERVE_LISTEN_FAILED', `cannot listen on ${shown}: ${cause.message}`, { cause }));
    };
    server.once('error', refuse);
    server.listen(where, () => {
      server.off('error', refuse);
      resolve();
    });
  });
}
