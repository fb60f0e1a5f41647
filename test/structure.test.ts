import { describe, expect, it } from 'vitest';
import {
  findLockProblems,
  findScriptProblems,
  findUndeclaredPackages,
  findVersionProblems,
} from './support/packages.ts';
import { readRepository } from './support/repository-files.ts';
import {
  findImportProblems,
  findLengthProblems,
  findMachinePaths,
  findRoomCycles,
} from './support/structure.ts';
import type { SourceFile } from './support/structure.ts';

const repository = readRepository();
const find = (path: string): SourceFile => repository.find((file) => file.path === path)!;
const lines = (count: number): string => 'x();\n'.repeat(count);
const backend = (path: string, text: string): SourceFile => ({ path: `gpu-backend/src/${path}`, text });
const manifest = (content: object, path = 'package.json'): SourceFile => ({
  path,
  text: JSON.stringify(content),
});

describe('imports', () => {
  it('go one way: shared ← edge, shared ← model ← device ← engine ← decode ← server', () => {
    expect(repository.length).toBeGreaterThan(80);
    expect(findImportProblems(repository)).toEqual([]);
    expect(findRoomCycles(repository)).toEqual([]);
  });

  it.each([
    ['shared', { path: 'shared/src/a.ts', text: "import { b } from '../../edge/src/b.ts';" }],
    ['edge', { path: 'edge/src/a.ts', text: "import { b } from '../../gpu-backend/src/model/b.ts';" }],
    ['edge', { path: 'edge/src/a.ts', text: "import { b } from '@tidar/gpu-backend/model/b.ts';" }],
    ['model', backend('model/graph/a.ts', "export { b } from '../../engine/b.ts';")],
    ['engine', backend('engine/a.ts', "import {\n  b,\n  c,\n} from '../decode/b.ts';")],
    ['engine', backend('engine/a.ts', "const b = await import('../train/b.ts');")],
    ['decode', backend('decode/a.ts', "import type { B } from '../server/b.ts';")],
    ['server', backend('server/a.ts', "import '../cli/b.ts';")],
    ['train', backend('train/a.ts', "new Worker(new URL('../server/worker.ts', import.meta.url));")],
    ['cli', backend('cli/bench.ts', "import { b } from '../server/b.ts';")],
    ['a test helper', backend('engine/a.ts', "import { b } from './testing.ts';")],
    ['onnxruntime', backend('train/a.ts', "import { Tensor } from 'onnxruntime-node';")],
    ['native code', backend('engine/a.ts', "import koffi from 'koffi';")],
    ['an unknown room', backend('utils/a.ts', "import { b } from '../model/b.ts';")],
  ])('are found where they go another way: %s', (_, file) => {
    expect(findImportProblems([file])).toHaveLength(1);
  });

  it.each([
    ['the start command', backend('cli/start.ts', "import { serve } from '../server/serve.ts';")],
    ['the device', backend('device/a.ts', "import { Tensor } from 'onnxruntime-node';")],
    ['a test', backend('engine/a.test.ts', "import { b } from '../decode/b.ts';")],
    ['shared code', { path: 'edge/src/a.ts', text: "import { b } from '@tidar/shared/b.ts';" }],
  ])('are left alone where they are right: %s', (_, file) => {
    expect(findImportProblems([file])).toEqual([]);
  });

  it('between rooms that go in a circle are found', () => {
    const circle = [
      backend('train/a.ts', "import { b } from '../eval/b.ts';"),
      backend('eval/b.ts', "import { c } from '../data/c.ts';"),
      backend('data/c.ts', "import { a } from '../train/a.ts';"),
    ];
    expect(findRoomCycles(circle)).toEqual(['data → train → eval → data']);
    expect(findRoomCycles(circle.slice(1))).toEqual([]);
  });
});

describe('files', () => {
  it('have at most 300 lines, the step at most 120', () => {
    expect(findLengthProblems(repository)).toEqual([]);
    expect(findLengthProblems([backend('engine/plan.ts', lines(300))])).toEqual([]);
    expect(findLengthProblems([backend('engine/plan.ts', lines(301))])).toHaveLength(1);
    expect(find('gpu-backend/src/engine/step.ts').text).toContain('function');
    expect(findLengthProblems([backend('engine/step.ts', lines(121))])).toHaveLength(1);
  });

  it('name no path of one machine', () => {
    expect(findMachinePaths(repository)).toEqual([]);
    for (const folder of ['home', 'root', 'Users']) {
      expect(findMachinePaths([{ path: 'README.md', text: `cd /${folder}/me/tidar` }])).toHaveLength(1);
    }
    expect(findMachinePaths([{ path: 'README.md', text: `https://example.com/${'home'}/page` }])).toEqual([]);
  });
});

describe('packages', () => {
  it('have one exact version each', () => {
    expect(findVersionProblems(repository)).toEqual([]);
    expect(findVersionProblems([manifest({ dependencies: { hono: '^4.0.0' } })])).toHaveLength(1);
    const two = [
      manifest({ dependencies: { hono: '4.0.0' } }),
      manifest({ devDependencies: { hono: '4.0.1' } }, 'edge/package.json'),
    ];
    expect(findVersionProblems(two)).toHaveLength(1);
  });

  it('are listed where product code imports them, so that an install without development packages runs', () => {
    expect(findUndeclaredPackages(repository)).toEqual([]);
    const file = (path: string, text: string): SourceFile => ({ path, text });
    const find = (text: string, hook = ''): string[] =>
      findUndeclaredPackages([
        manifest({ scripts: { prestart: `x${hook}`, start: 'node gpu-backend/src/start.ts' } }),
        manifest({ dependencies: { hono: '4.0.0' } }, 'gpu-backend/package.json'),
        file('gpu-backend/src/start.ts', "import './next.ts';\nimport './start.ts';"),
        file('gpu-backend/src/next.ts', text),
      ]);
    expect(find("import { Hono } from 'hono/tiny';\nimport path from 'node:path';")).toEqual([]);
    expect(find("import type { X } from 'vitest';")).toEqual([]);
    expect(find("import { x } from 'vitest';", ' --dev')).toEqual([]);
    expect(find("import { x } from 'vitest';")).toEqual([
      'gpu-backend/src/next.ts imports vitest, which gpu-backend/package.json does not list',
    ]);
  });

  it('are locked without the name of a registry', () => {
    expect(findLockProblems(find('package-lock.json'))).toEqual([]);
    const lock = { path: 'package-lock.json', text: '"resolved": "https://registry.example/hono.tgz"' };
    expect(findLockProblems(lock)).toHaveLength(1);
  });

  it('are installed by every npm script where they are missing', () => {
    expect(findScriptProblems(find('package.json'))).toEqual([]);
    expect(findScriptProblems(manifest({ scripts: { test: 'vitest', prestart: 'x', start: 'y' } }))).toEqual([
      'npm run test does not install what is missing first',
      'npm run start does not install what is missing first',
    ]);
  });
});
