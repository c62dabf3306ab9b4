import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { describe, expect, it } from 'vitest';
import { AGENT_SETTINGS } from '#agent/config.js';
import { HUB_SETTINGS } from '#hub/config.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { type ClusterDocument, clusterDocument } from './cluster-schemas.js';

const PACKAGING = path.join(PROJECT_ROOT, 'packaging');
/** Variables that are no setting of a program: what the entry point reads, and the enrolment token of `skerry-agent enroll`. */
const OTHER_VARIABLES = ['SKERRY_HUB', 'SKERRY_LABELS', 'SKERRY_ENROLL_TOKEN'];
const VARIABLES = new Set([...Object.values(AGENT_SETTINGS), ...Object.values(HUB_SETTINGS)].map(({ env }) => env).concat(OTHER_VARIABLES));

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** The instructions of a Dockerfile, continued lines joined. */
async function instructions(file: string): Promise<readonly Instruction[]> {
  const text = (await readFile(path.join(PACKAGING, 'container', file), 'utf8')).replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
  return text
    .trim()
    .split('\n')
    .map((line) => ({ name: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1) }));
}

async function documents(file: string): Promise<readonly ClusterDocument[]> {
  const text = await readFile(path.join(PACKAGING, 'kubernetes', file), 'utf8');
  return parseAllDocuments(text).map((document) => {
    expect('errors' in document ? document.errors : []).toEqual([]);
    return clusterDocument.parse('toJS' in document ? document.toJS() : undefined);
  });
}

describe.each(['agent.Dockerfile', 'hub.Dockerfile'])('%s', (file) => {
  it('has a pinned base, no root at the end, and only sources that are there or are built', async () => {
    const all = await instructions(file);
    expect(all[0]).toMatchObject({ name: 'FROM', rest: expect.stringMatching(/^[a-z]+:[\w.-]+$/) as string });
    expect(all[0]?.rest).not.toContain('latest');
    expect(all.findLast(({ name }) => name === 'USER')?.rest).toMatch(/^skerry-(agent|hub)$/);
    const sources = all.filter(({ name }) => name === 'COPY').map(({ rest }) => rest.split(' ')[0] ?? '');
    const built = /^out\/packages\/skerry-(agent|hub)_\*_\$\{TARGETARCH\}\.deb$/;
    for (const source of sources.filter((each) => !built.test(each))) {
      expect((await readFile(path.join(PACKAGING, source))).byteLength).toBeGreaterThan(0);
    }
    for (const { rest } of all.filter(({ name }) => name === 'RUN')) {
      expect(rest).toContain('--no-install-recommends');
      expect(rest).toContain('rm -rf');
    }
    expect(
      all.filter(({ name }) => !['FROM', 'ARG', 'COPY', 'RUN', 'ENV', 'VOLUME', 'EXPOSE', 'USER', 'ENTRYPOINT', 'CMD'].includes(name)),
    ).toEqual([]);
  });

  it('sets only variables that the program knows', async () => {
    const set = (await instructions(file))
      .filter(({ name }) => name === 'ENV')
      .flatMap(({ rest }) => rest.split(' ').map((pair) => pair.split('=')[0]));
    expect(set.filter((name) => !VARIABLES.has(name ?? ''))).toEqual([]);
  });
});

describe('the manifests for a cluster', () => {
  it('have the structure of the published schemas', async () => {
    const files = await readdir(path.join(PACKAGING, 'kubernetes'));
    const kinds = (await Promise.all(files.map(documents))).flat().map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['InferenceService', 'Service', 'ServingRuntime', 'StatefulSet']);
  });

  it('set only variables that the programs know, and mount only what is declared', async () => {
    for (const document of [...(await documents('hub.yaml')), ...(await documents('kserve.yaml'))]) {
      if (document.kind !== 'StatefulSet' && document.kind !== 'ServingRuntime') continue;
      const pod = document.kind === 'StatefulSet' ? document.spec.template.spec : document.spec;
      const claims = document.kind === 'StatefulSet' ? document.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name) : [];
      const volumes = new Set([...pod.volumes.map(({ name }) => name), ...claims]);
      for (const container of pod.containers) {
        expect((container.env ?? []).map(({ name }) => name).filter((name) => !VARIABLES.has(name))).toEqual([]);
        expect((container.volumeMounts ?? []).filter(({ name }) => !volumes.has(name))).toEqual([]);
      }
    }
  });

  it('name a model format and a protocol that the runtime has', async () => {
    const all = await documents('kserve.yaml');
    const runtime = all.find((each) => each.kind === 'ServingRuntime');
    const service = all.find((each) => each.kind === 'InferenceService');
    const model = service?.spec.predictor.model;
    expect(model?.runtime).toBe(runtime?.metadata.name);
    expect(runtime?.spec.protocolVersions).toContain(model?.protocolVersion);
    expect(
      runtime?.spec.supportedModelFormats.some(
        ({ name, version }) => name === model?.modelFormat.name && version === model.modelFormat.version,
      ),
    ).toBe(true);
    // KServe finds the container that serves by this name.
    expect(runtime?.spec.containers[0]?.name).toBe('kserve-container');
  });

  it('refuse a field that the schema does not have', () => {
    expect(
      clusterDocument.safeParse({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { selector: {}, ports: [], port: 1 } })
        .success,
    ).toBe(false);
  });
});
