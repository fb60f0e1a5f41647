import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { DEPLOY, readManifests, readYaml } from '../support/manifests.ts';

const gridSchema = z.object({ x: z.int(), y: z.int(), w: z.int().min(1), h: z.int().min(1) });
const dashboardSchema = z.object({
  uid: z.string(),
  schemaVersion: z.literal(39),
  templating: z.object({ list: z.array(z.object({ name: z.string(), definition: z.string().optional() })) }),
  panels: z.array(
    z.object({
      id: z.int(),
      type: z.enum(['row', 'timeseries']),
      title: z.string().min(1),
      gridPos: gridSchema,
      targets: z.array(z.object({ refId: z.string(), expr: z.string() })).default([]),
    }),
  ),
});
const { panels, templating } = dashboardSchema.parse(
  JSON.parse(readFileSync(join(DEPLOY, 'grafana/dashboard.json'), 'utf8')),
);

/** Each query with the name of what asks it: the dashboard's, and those by which backends are scaled. */
const queries: readonly (readonly [string, string])[] = [
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ...templating.list.flatMap(({ name, definition = '' }) => {
    const [, selector] = /^label_values\((.+), \w+\)$/.exec(definition) ?? [];
    return selector === undefined ? [] : [[`variable ${name}`, selector] as const];
  }),
  ...readManifests().flatMap(({ kind, spec }) => {
    if (kind !== 'ScaledObject') return [];
    const { triggers } = spec as { triggers: { metadata: { query: string } }[] };
    return triggers.map(({ metadata }) => ['scaling', metadata.query] as const);
  }),
];

/** What a query asks for: its metrics, and the labels that it filters or groups by. Throws where it is not PromQL. */
function parseQuery(query: string): { metrics: string[]; labels: string[] } {
  const text = query.replaceAll('$__rate_interval', '1m');
  const metrics: string[] = [];
  const labels: string[] = [];
  parser.parse(text).iterate({
    enter({ type, from, to, node }) {
      const word = text.slice(from, to);
      if (type.isError) throw new Error(`${text} is wrong at ${from}`);
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') metrics.push(word);
      if (type.name === 'LabelName') labels.push(word);
    },
  });
  return { metrics, labels };
}

let backend: BackendProcess;
/** Every series that the backend exports, with the labels that it is known to have. */
let exported: Map<string, Set<string>>;
beforeAll(async () => {
  backend = await BackendProcess.start({ modelPath: DEMO_MODEL });
  const body = JSON.stringify({
    request_id: 'one',
    model: backend.model.id,
    input: { type: 'chat', messages: [{ role: 'user', content: 'What is the capital of France?' }] },
    max_tokens: 8,
    ignore_eos: true,
    sampling: { temperature: 0, seed: '1' },
    // Whatever the machine, some drafts are verified, and accepted.
    decoder: { type: 'tidar', plan: 'dense', draft_length: 4 },
  });
  await (await backend.post(body)).text();
  await (await backend.post('{}')).text();
  const text = await (await fetch(`${backend.url}/metrics`)).text();
  exported = new Map();
  for (const [, name = '', labels = ''] of text.matchAll(/^([\w:]+)(?:\{([^}]*)\})? \S+$/gm)) {
    const known = exported.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    exported.set(name, known);
  }
});
afterAll(() => backend.stop());

describe('the dashboard', () => {
  it.each(queries)('asks for what a running backend exports, by labels that it has: %s: %s', (_, query) => {
    const { metrics, labels } = parseQuery(query);
    expect(metrics.length).toBeGreaterThan(0);
    for (const metric of metrics) expect([...exported.keys()]).toContain(metric);
    // Prometheus itself adds the first two.
    const known = new Set([
      'job',
      'instance',
      ...metrics.flatMap((metric) => [...(exported.get(metric) ?? [])]),
    ]);
    for (const label of labels) expect([...known]).toContain(label);
  });

  it('would be told of a query that is no PromQL, of a metric that is none, and of a wrong label', () => {
    expect(() => parseQuery('sum(rate(x[1m])')).toThrow('is wrong');
    expect(parseQuery('sum by (a) (rate(x_total{b="1"}[$__rate_interval])) / y')).toEqual({
      metrics: ['x_total', 'y'],
      labels: ['a', 'b'],
    });
    expect(exported.has('x_total')).toBe(false);
    expect(exported.get('tidar_plan_rows_total')).toEqual(new Set(['plan', 'model_name', 'engine']));
  });

  it('shows every metric that a backend exports', () => {
    const shown = new Set(queries.flatMap(([, query]) => parseQuery(query).metrics));
    const family = (name: string): string => name.replace(/_(bucket|sum|count)$/, '');
    const families = new Set([...shown].map(family));
    expect([...exported.keys()].map(family).filter((name) => !families.has(name))).toEqual([]);
  });

  it('has panels that do not lie on each other, each with an id of its own', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });

  it('finds backends by the job that Prometheus is told to give them', () => {
    const [{ scrape_configs: jobs }] = readYaml(join(DEPLOY, 'prometheus.yaml')) as [
      { scrape_configs: { job_name: string; metrics_path: string }[] },
    ];
    expect(jobs).toMatchObject([{ job_name: 'tidar-backend', metrics_path: '/metrics' }]);
    for (const [name, query] of queries) {
      if (name === 'scaling') expect(query).toContain('{job="tidar-backend"}');
    }
  });
});

describe('the paths that probes ask', () => {
  it('are a backend’s own, and well while it serves', async () => {
    const containers = readManifests().flatMap(({ kind, metadata, spec }) =>
      kind === 'StatefulSet' && metadata.name === 'tidar-backend' ? [JSON.stringify(spec)] : [],
    );
    const paths = containers.flatMap((text) =>
      [...text.matchAll(/"path":"([^"]+)"/g)].map(([, path]) => path),
    );
    expect(paths).toHaveLength(3);
    for (const path of paths) expect((await fetch(`${backend.url}${path}`)).status).toBe(200);
  });
});
