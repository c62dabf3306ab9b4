import { describe, expect, it } from 'vitest';
import { labelsSchema } from '#shared/protocol/device.js';
import { enrolmentStatement } from '#shared/protocol/enrolment.js';
import { CAPABILITIES } from '../../kit/messages.js';

const claim = {
  token: `skt_${'A'.repeat(43)}`,
  device: 'cam-1',
  publicKey: '0'.repeat(64),
  labels: labelsSchema.parse({ site: 'lab', a: 'b' }),
  capabilities: CAPABILITIES,
  agentVersion: '0.1.0',
};
const text = (of: typeof claim | Omit<typeof claim, 'device'>): string => new TextDecoder().decode(enrolmentStatement(of));

describe('enrolmentStatement', () => {
  it('has these bytes', () => {
    expect(text(claim)).toBe(
      '["skerry.enrolment/1","b9afa674d691f2b455a47c69c0f9e841625ebbc35d2c7a31740e62a59689360d","cam-1","0000000000000000000000000000000000000000000000000000000000000000",[["a","b"],["site","lab"]],["linux","x64",2,1073741824,["cpu"],["onnxruntime-node","1.30.0"]],"0.1.0"]',
    );
  });

  it('does not hold the token, nor depend on the order of the labels', () => {
    expect(text(claim)).not.toContain('AAAA');
    expect(text({ ...claim, labels: labelsSchema.parse({ a: 'b', site: 'lab' }) })).toBe(text(claim));
  });

  it('changes with everything it states', () => {
    const { device: _device, ...unnamed } = claim;
    const others = [
      unnamed,
      { ...claim, device: 'cam-2' },
      { ...claim, token: `skt_${'B'.repeat(43)}` },
      { ...claim, publicKey: '1'.repeat(64) },
      { ...claim, labels: {} },
      { ...claim, agentVersion: '0.1.1' },
      { ...claim, capabilities: { ...CAPABILITIES, providers: ['cpu', 'cuda'] } },
    ];
    expect(new Set([claim, ...others].map(text)).size).toBe(others.length + 1);
  });
});
