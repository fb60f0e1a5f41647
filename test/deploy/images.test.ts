import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { validate } from 'dockerfile-utils';
import { afterAll, describe, expect, it } from 'vitest';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import type { Stage } from '../support/dockerfile.ts';
import { finalStage, readDockerfile } from '../support/dockerfile.ts';
import { repositoryRoot } from '../support/repository-files.ts';

const CPU = 'gpu-backend/deploy/Dockerfile.cpu';
const CUDA = 'gpu-backend/deploy/Dockerfile.cuda';
const EDGE = 'edge/deploy/Dockerfile';
const START_LIMIT_MS = 180_000;
const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8');
const scratch = mkdtempSync(join(tmpdir(), 'tidar-image-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each([CPU, CUDA, EDGE])('%s', (path) => {
  const stages = readDockerfile(path);
  const stage = finalStage(stages);

  it('is a Dockerfile that nothing is to be said of', () => {
    expect(validate(read(path))).toEqual([]);
  });

  it('takes exact versions, of Node the one that everything is tested with', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: { node: string } };
    const bases = stages.map(({ base }) => base).filter((base) => !base.startsWith('$'));
    for (const base of bases) expect(base).toBe(`node:${dependencies.node}-trixie-slim`);
    for (const [, image] of read(path).matchAll(/^ARG \w+_IMAGE=(\S+)$/gm))
      expect(image).toMatch(/:\d+\.\d+\.\d+-/);
  });

  it('runs as nobody with rights, is healthy by asking, and keeps its state on a volume', () => {
    expect(stage.last['USER']).toMatch(/^(node|1000:1000)$/);
    expect(stage.last['HEALTHCHECK']).toContain('CMD ["node"');
    expect(stage.last['STOPSIGNAL']).toBe('SIGTERM');
    const state = stage.env['JOURNAL'] ?? `${stage.env['STATE']}/x`;
    expect(state.startsWith(`${stage.last['VOLUME']}/`)).toBe(true);
    expect(stage.last['EXPOSE']).toBe(stage.env['BACKEND_PORT'] ?? stage.env['EDGE_PORT']);
  });

  it('copies nothing that is not there, and sees nothing of a working copy that is secret', () => {
    for (const { sources } of stages.flatMap(({ copies }) =>
      copies.filter(({ from }) => from === undefined),
    )) {
      for (const source of sources) expect(existsSync(join(repositoryRoot, source)), source).toBe(true);
    }
    const ignored = read(`${path}.dockerignore`).split('\n');
    expect(ignored).toContain('*');
    for (const pattern of ['**/.dev.vars*', '**/*.env', '**/.runs', '**/node_modules']) {
      expect(ignored).toContain(pattern);
    }
  });
});

describe('the two images of a backend', () => {
  it('differ in what runs the model alone', () => {
    const [cpu, cuda] = [CPU, CUDA].map((path) => finalStage(readDockerfile(path)));
    // An image for GPUs that served from the CPU would hide what is missing.
    expect(cuda!.env).toEqual({ ...cpu!.env, BACKEND_DEVICE: 'cuda' });
    expect(cuda!.last['ENTRYPOINT']).toBe(cpu!.last['ENTRYPOINT']);
    const ofRepository = ({ copies }: Stage): unknown => copies.filter(({ from }) => from === undefined);
    expect(ofRepository(cuda!)).toEqual(ofRepository(cpu!));
  });
});

/** The final stage's folder as the image would have it, without Docker: its files, and the packages that are here. */
function layOut(path: string): { app: string; state: string; stage: Stage } {
  const stages = readDockerfile(path);
  const stage = finalStage(stages);
  const app = join(scratch, basename(dirname(dirname(path))), 'app');
  const state = join(app, '../state');
  mkdirSync(state, { recursive: true });
  for (const { from, sources, target } of stage.copies) {
    for (const source of sources) {
      if (from === undefined) copyInto(source, app, target, sources.length > 1);
      else if (source === '/app/node_modules') linkPackages(app);
      else expect(source).toMatch(/^\/(app\/worker|usr\/local\/bin\/node)$/);
    }
  }
  for (const run of stages.flatMap(({ runs }) => runs)) {
    const [, script, folder] = /^node (edge\/deploy\/\S+) \/app\/(\S+)$/.exec(run) ?? [];
    if (script !== undefined)
      execFileSync(process.execPath, [join(repositoryRoot, script), join(app, folder!)]);
  }
  return { app, state, stage };
}

function copyInto(source: string, app: string, target: string, isIntoFolder: boolean): void {
  const isFile = /\.\w+$/.test(source) || source === 'LICENSE';
  const to =
    isIntoFolder || target.endsWith('/') || (isFile && target === './')
      ? join(target, basename(source))
      : target;
  cpSync(join(repositoryRoot, source), join(app, to), {
    recursive: true,
    filter: (file) => !/\.test\.ts$/.test(file),
  });
}

/** All packages but the workspace's own, which are to be the image's. */
function linkPackages(app: string): void {
  const packages = join(app, 'node_modules');
  mkdirSync(join(packages, '@tidar'), { recursive: true });
  for (const name of readdirSync(join(repositoryRoot, 'node_modules'))) {
    if (name !== '@tidar' && !name.startsWith('.'))
      symlinkSync(join(repositoryRoot, 'node_modules', name), join(packages, name));
  }
  for (const name of ['shared', 'edge', 'gpu-backend'])
    symlinkSync(join(app, name), join(packages, '@tidar', name));
}

const words = (json: string | undefined): string[] =>
  JSON.parse(/\[.*\]$/.exec(json ?? '')?.[0] ?? '[]') as string[];

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => !file.startsWith('node_modules'),
  );
}

describe('the files that an image has', { timeout: 240_000 }, () => {
  it.each([
    [CPU, 'BACKEND_PORT', { LEASE_SECRETS: TEST_SECRETS.LEASE_SECRETS, BACKEND_HOST: '127.0.0.1' }],
    [EDGE, 'EDGE_PORT', { ...TEST_SECRETS, EDGE_HOST: '127.0.0.1' }],
  ])(
    'are enough to serve: %s gets healthy, ends with 0 at its stop signal, and writes to its volume alone',
    async (path, portName, given) => {
      const { app, state, stage } = layOut(path);
      const before = filesIn(app);
      const ofImage = Object.entries(stage.env).map(([name, value]) => [
        name,
        value.replace('/var/lib/tidar', state).replace(/^\/app/, app),
      ]);
      const env = {
        PATH: process.env.PATH,
        ...Object.fromEntries(ofImage),
        [portName]: String(await anyFreePort()),
        ...given,
      };
      const [, ...entry] = words(stage.last['ENTRYPOINT']);
      const child = spawn(process.execPath, entry, { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => void (output += chunk.toString()));
      const [, ...check] = words(stage.last['HEALTHCHECK']);
      const deadline = performance.now() + START_LIMIT_MS;
      const isHealthy = async (): Promise<boolean> =>
        (await once(spawn(process.execPath, check, { env }), 'exit'))[0] === 0;
      expect(await isHealthy()).toBe(false);
      while (!(await isHealthy())) {
        if (child.exitCode !== null || performance.now() > deadline)
          throw new Error(`not healthy:\n${output}`);
      }
      child.kill(stage.last['STOPSIGNAL'] as NodeJS.Signals);
      const [code] = (await once(child, 'exit')) as [number | null];
      expect(code, output).toBe(0);
      const written = filesIn(app).filter((file) => !before.includes(file));
      // What a planner learned is kept beside its model where it can be; an image's folder is read-only.
      expect(written.filter((file) => !file.endsWith('.planner.json'))).toEqual([]);
      expect(filesIn(state)).not.toEqual([]);
    },
  );
});
