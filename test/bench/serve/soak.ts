import { atMost, type Figure, plain } from '../figure.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import type { LoadClient } from './load.js';
import { Target } from './open-target.js';
import { type ProcessUsage, usageOf } from './process-usage.js';
import { oipBinary } from './requests.js';
import { switchTimes } from './switching.js';

/** Predictions for each switch of the model. */
const PER_SWITCH = 1000;
/** Share of the whole after which memory counts: caches are full then. */
const WARM_UP = 0.1;
const LOOKS = 10;
const CLIENTS = 4;
const MB = 1e6;

export const soak: FigureGroup = {
  name: 'soak',
  what: 'Soak: growth of the process between the first tenth of the predictions, with a switch for each thousand, and the end.',
  isLong: true,
  measure: async ({ client, soak: predictions }: GroupContext) => {
    const target = await Target.open({ models: ['vad', 'small'] });
    try {
      return await measureSoak(target, client, predictions);
    } finally {
      await target.close();
    }
  },
};

async function measureSoak(target: Target, client: LoadClient, predictions: number): Promise<readonly Figure[]> {
  let failures = await part(target, client, predictions * WARM_UP);
  const before = await settled(target.pid);
  // Looked at now and then, so that a run that grows shows how.
  for (let look = 0; look < LOOKS; look += 1) {
    failures += await part(target, client, (predictions * (1 - WARM_UP)) / LOOKS);
    const { residentBytes, handles, threads } = await usageOf(target.pid);
    console.log(`soak: ${look + 1}/${LOOKS}: ${(residentBytes / MB).toFixed(1)} MB, ${handles} handles, ${threads} threads`);
  }
  const after = await settled(target.pid);
  const grown = (of: keyof ProcessUsage): number => after[of] - before[of];
  return [
    atMost(`soak, ${predictions} predictions: failed`, failures, '', 0),
    atMost('soak: memory grown after warm-up', grown('residentBytes') / MB, 'MB', 5),
    atMost('soak: handles more', grown('handles'), '', 0),
    atMost('soak: threads more', grown('threads'), '', 0),
    plain('soak: memory at the end', after.residentBytes / MB, 'MB'),
  ];
}

/** Predictions with their share of switches; gives how many failed. */
async function part(target: Target, client: LoadClient, predictions: number): Promise<number> {
  const address = `unix:${target.address.socket}`;
  const requests = Math.ceil(predictions);
  const [told] = await Promise.all([
    client.load({ address, request: oipBinary('vad'), connections: CLIENTS, requests, seconds: 3_600 }),
    switchTimes(target, 'small', Math.ceil(predictions / PER_SWITCH)),
  ]);
  return told.failures;
}

/** The least of some looks: garbage that is not collected yet is no growth. */
async function settled(pid: number): Promise<ProcessUsage> {
  const looks: ProcessUsage[] = [];
  for (let look = 0; look < LOOKS; look += 1) {
    looks.push(await usageOf(pid));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const least = (of: keyof ProcessUsage): number => Math.min(...looks.map((one) => one[of]));
  return { residentBytes: least('residentBytes'), handles: least('handles'), threads: least('threads') };
}
