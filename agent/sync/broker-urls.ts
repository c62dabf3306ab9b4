import { brokerBehind } from '#shared/protocol/mqtt-path.js';

interface KnownAddresses {
  /** The setting `hub`: URL of the hub's API, or of its broker. */
  readonly setting: string | undefined;
  /** The address that let the device in last. */
  readonly letIn: string | undefined;
  readonly enrolled: { readonly url: string; readonly wsUrl?: string | undefined };
  /** Signed by the hub, in the desired state. */
  readonly announced: readonly string[];
}

const BROKER = /^(?:mqtt|mqtts|ws|wss):\/\//;

/** Every address the broker may answer at, the likeliest first. Pure. What was forgotten meanwhile is not tried. */
export function brokerUrls({ setting, letIn, enrolled, announced }: KnownAddresses): readonly string[] {
  const wished = setting === undefined ? [] : [BROKER.test(setting) ? setting : brokerBehind(setting)];
  const known = [
    enrolled.url,
    ...(enrolled.wsUrl === undefined ? [] : [enrolled.wsUrl]),
    ...announced.filter((url) => BROKER.test(url) && URL.canParse(url) && new URL(url).hostname !== ''),
  ];
  const proved = letIn !== undefined && known.includes(letIn) ? [letIn] : [];
  return [...new Set([...wished, ...proved, ...known])];
}
