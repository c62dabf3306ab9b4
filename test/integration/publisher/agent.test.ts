import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { folderPublisher } from '#hub/publisher/target-signer.js';
import { httpPublisherHub } from '#hub/publisher/http-hub.js';
import { buildRelease } from '#hub/publisher/build-agent.js';
import { publishVersion } from '#hub/publisher/publish.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { passphraseSecret } from '#shared/trust/key-file.js';
import { elfProgram, writeAgentPrograms } from '../../kit/agent-program.js';
import * as models from '../../kit/onnx-models.js';
import { PASSPHRASE, publisherDesk } from '../../kit/publisher-cli.js';

const desk = publisherDesk();
const { skerry, failing, file, keys } = desk;

describe('skerry publish-agent, against a real hub', () => {
  let programs: string[];

  it('is refused to a publisher of models, before anything is uploaded', async () => {
    expect((await skerry('trust', 'init', ...keys('keeper'), '--role', 'alice')).code).toBe(0);
    programs = await writeAgentPrograms(file('.'));
    const refused = await failing('publish-agent', ...programs, ...keys('keeper'));
    expect(refused).toMatchObject({ code: 'TRUST_TARGET_FORBIDDEN', message: expect.stringContaining('add-publisher --agent') as string });
  });

  it('is refused by the hub to a publisher of models who leaves that check out', async () => {
    const hubPort = httpPublisherHub({ url: desk.hub.url, token: desk.hub.secret.publisher });
    const built = await buildRelease({ paths: programs, release: '0.4.0', takesOverFrom: versionNumberSchema.parse(1) });
    const publisher = folderPublisher({
      folder: new PublisherFolder(file('keeper')),
      secret: passphraseSecret(PASSPHRASE),
      hub: hubPort,
      clock: systemClock,
      role: 'alice',
    });
    const published = publishVersion(built, {}, { hub: hubPort, publisher, clock: systemClock });
    await expect(published).rejects.toMatchObject({
      code: 'TRUST_TARGET_FORBIDDEN',
      message: expect.stringContaining('agent/2.json') as string,
    });
    expect((await desk.hub.fetch('viewer', '/api/v1/models/skerry-agent')).status).toBe(404);
  });

  it('takes a publisher that may sign the agent and no model', async () => {
    expect((await skerry('trust', 'request', ...keys('releases'), '--role', 'releases', '--out', file('r.json'))).code).toBe(0);
    expect(await failing('trust', 'add-publisher', file('r.json'), ...keys('keeper'))).toMatchObject({ code: 'CLI_USAGE' });
    const added = await skerry('trust', 'add-publisher', file('r.json'), '--agent', ...keys('keeper'));
    expect([added.code, added.stdout]).toEqual([0, expect.stringMatching(/releases +1 .* the agent +0/) as string]);
    await writeFile(file('affine.onnx'), models.affineModel());
    expect(await failing('publish', file('affine.onnx'), '--name', 'affine', ...keys('releases'))).toMatchObject({
      code: 'TRUST_TARGET_FORBIDDEN',
    });
  });

  it('reads the platforms from the headers, publishes once, and finds the same content again in any order', async () => {
    const first = await skerry('publish-agent', ...programs, '--release', '0.4.0', ...keys('releases'));
    expect([first.code, first.stdout]).toEqual([0, expect.stringMatching(/^published skerry-agent@2 /) as string]);
    expect(first.stderr).toMatch(/skerry-agent-linux-arm64: ELF, linux-arm64, /);
    const again = await skerry('publish-agent', ...programs.toReversed(), '--release', '0.4.0', ...keys('releases'), '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ model: 'skerry-agent', version: 2, release: '0.4.0', created: false });
    const shown = (await (await desk.hub.fetch('viewer', '/api/v1/models/skerry-agent/versions/2')).json()) as { document: unknown };
    expect(shown.document).toMatchObject({
      kind: 'agent',
      release: '0.4.0',
      takesOverFrom: 1,
      variants: [
        { name: 'linux-arm64', platform: 'linux', arch: 'arm64' },
        { name: 'linux-x64', platform: 'linux', arch: 'x64' },
      ],
    });
    expect(desk.hub.tuf.target('agent/2.json')?.role).toBe('releases_skerry-agent');
  });

  it('refuses other content under a taken release or a taken number', async () => {
    const other = file('other');
    await writeFile(other, elfProgram('x64'));
    const options = [...keys('releases'), '--release'];
    expect(await failing('publish-agent', other, ...options, '0.4.0')).toMatchObject({
      code: 'VERSION_CONFLICT',
      message: 'release 0.4.0 is skerry-agent@2, with other content',
    });
    expect(await failing('publish-agent', other, ...options, '0.4.1', '--version', '2')).toMatchObject({ code: 'VERSION_CONFLICT' });
    expect(await failing('publish-agent', other, ...options, '0.4.1', '--version', '1')).toMatchObject({
      code: 'BUNDLE_MANIFEST_INVALID',
      message: expect.stringContaining('1 is the agent that came with a package') as string,
    });
    const next = await skerry('publish-agent', other, ...options, '0.4.1', '--takes-over-from', '2', '--json');
    expect(JSON.parse(next.stdout)).toMatchObject({ version: 3, created: true });
  });

  it('refuses what is no agent, two files for one platform, and a release that is none', async () => {
    const text = file('readme.txt');
    await writeFile(text, 'a text of more than sixty-four characters, so that it could be an executable by its length');
    const options = keys('releases');
    expect(await failing('publish-agent', text, ...options)).toMatchObject({ code: 'AGENT_EXECUTABLE_INVALID' });
    expect(await failing('publish-agent', file('gone'), ...options)).toMatchObject({ code: 'CLI_USAGE' });
    const twice = await failing('publish-agent', programs[0] ?? '', file('other'), ...options);
    expect(twice.message).toMatch(/are both for linux-x64$/);
    expect(await failing('publish-agent', text, '--release', 'newest', ...options)).toMatchObject({ code: 'CLI_USAGE' });
  });

  it('keeps the name of the agent from models', async () => {
    const refused = await failing('publish', file('affine.onnx'), '--name', 'skerry-agent', ...keys('keeper'));
    expect(refused.code).toBe('CLI_USAGE');
    expect(refused.message).toContain('skerry-agent');
  });
});

describe('the hub', () => {
  it('checks again that a file is a program for the platform its variant names', async () => {
    const hubPort = httpPublisherHub({ url: desk.hub.url, token: desk.hub.secret.publisher });
    const built = await buildRelease({ paths: [file('other')], release: '0.9.0', takesOverFrom: versionNumberSchema.parse(1) });
    const wrong = { ...built.content.variants[0], name: 'linux-arm64', platform: 'linux' as const, arch: 'arm64' as const };
    const artifact = built.content.artifacts[0]?.digest;
    if (artifact === undefined) throw new Error('no artifact');
    const forged = { ...built, content: { ...built.content, variants: [{ ...wrong, artifact }] } };
    const secret = passphraseSecret(PASSPHRASE);
    const publisher = folderPublisher({
      folder: new PublisherFolder(file('releases')),
      secret,
      hub: hubPort,
      clock: systemClock,
      role: 'releases',
    });
    await expect(publishVersion(forged, {}, { hub: hubPort, publisher, clock: systemClock })).rejects.toMatchObject({
      code: 'MANIFEST_MISMATCH',
      message: 'the file of variant linux-arm64 is a program for linux-x64',
    });
    expect(await readFile(file('other'))).toHaveLength(200_000);
  });
});
