import { parentPort } from 'node:worker_threads';
import { InstanceHost } from './instance-host.js';

/** Entry of an instance worker; it lives until it is told to close. */
if (parentPort !== null) new InstanceHost(parentPort);
