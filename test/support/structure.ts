/** The rules of the folders as functions over files, so that their own test can feed them bad examples. */

export interface SourceFile {
  /** From the repository's root, with forward slashes. */
  path: string;
  text: string;
}

/** One line for each broken rule, naming the file. */
export type Problem = string;

const MAX_LINES = 300;
const MAX_STEP_LINES = 120;
const STEP_PATH = 'gpu-backend/src/engine/step.ts';

const BACKEND_TOOLS = ['train', 'eval', 'data', 'cli'];
const BELOW_SERVER = ['shared', 'model', 'device', 'engine', 'decode'];

/** What each room may import beside itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  shared: [],
  edge: ['shared'],
  model: ['shared'],
  device: ['shared', 'model'],
  engine: ['shared', 'model', 'device'],
  decode: ['shared', 'model', 'device', 'engine'],
  server: BELOW_SERVER,
  ...Object.fromEntries(BACKEND_TOOLS.map((room) => [room, [...BELOW_SERVER, ...BACKEND_TOOLS]])),
};
/** The start command starts the whole system, so it alone may reach the server. */
const START_PATH = /^gpu-backend\/src\/cli\/start(\.ts$|\/)/;

const isSource = (path: string): boolean => /\.(ts|tsx|mts|mjs|js)$/.test(path);
/** Tests and their helpers; they may import across rooms, and no product file may import them. */
const isForTests = (path: string): boolean => /\.test\.ts$|\/testing(\.ts$|\/)|^test\//.test(path);

/** The room a path belongs to: a package, or a folder of the backend's src. */
export function roomOf(path: string): string | undefined {
  const [top, src, room] = path.split('/');
  if (top === 'shared' || top === 'edge') return src === 'src' ? top : undefined;
  return top === 'gpu-backend' && src === 'src' ? room : undefined;
}

/** Every module a file names: static, dynamic and re-exported imports, and workers started by URL. */
export function importsOf(file: SourceFile): string[] {
  const patterns = [
    /^\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
    /\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) => [...file.text.matchAll(pattern)].map((match) => match[1] ?? ''));
}

/** A relative or workspace import as a path from the root; nothing for a package. */
export function resolveImport(from: string, specifier: string): string | undefined {
  const workspace = /^@tidar\/(shared|edge|gpu-backend)\/(.+)$/.exec(specifier);
  if (workspace) return `${workspace[1]}/src/${workspace[2]}`;
  if (!specifier.startsWith('.')) return undefined;
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

interface Import {
  from: string;
  specifier: string;
  to: string | undefined;
}

function productImports(files: readonly SourceFile[]): Import[] {
  return files
    .filter(({ path }) => isSource(path) && roomOf(path) !== undefined && !isForTests(path))
    .flatMap((file) =>
      importsOf(file).map((specifier) => ({
        from: file.path,
        specifier,
        to: resolveImport(file.path, specifier),
      })),
    );
}

export function findImportProblems(files: readonly SourceFile[]): Problem[] {
  return productImports(files).flatMap(({ from, specifier, to }) => {
    const room = roomOf(from) ?? '';
    if (to === undefined) {
      const isOnnxRuntime = specifier.startsWith('onnxruntime-') || specifier === 'koffi';
      return isOnnxRuntime && room !== 'device' ? [`${from} imports ${specifier}: only device/ may`] : [];
    }
    if (isForTests(to)) return [`${from} imports ${to}, which is for tests only`];
    const target = roomOf(to);
    const allowed = MAY_IMPORT[room];
    if (allowed === undefined) return [`${from} lies in a room without a rule: ${room}`];
    if (target === room || (START_PATH.test(from) && target === 'server')) return [];
    return target !== undefined && allowed.includes(target)
      ? []
      : [`${from} imports ${to}: ${room} may import ${allowed.join(', ') || 'nothing'}`];
  });
}

/** Rooms that import each other in a circle, each circle once as "a → b → a". */
export function findRoomCycles(files: readonly SourceFile[]): Problem[] {
  const graph = new Map<string, Set<string>>();
  for (const { from, to } of productImports(files)) {
    const [room, target] = [roomOf(from), to === undefined ? undefined : roomOf(to)];
    if (room === undefined || target === undefined || room === target || START_PATH.test(from)) continue;
    graph.set(room, (graph.get(room) ?? new Set()).add(target));
  }
  const cycles = new Set<string>();
  const visit = (room: string, trail: readonly string[]): void => {
    const start = trail.indexOf(room);
    if (start < 0) return graph.get(room)?.forEach((next) => visit(next, [...trail, room]));
    const circle = trail.slice(start);
    const first = circle.indexOf([...circle].sort()[0] ?? '');
    const turned = [...circle.slice(first), ...circle.slice(0, first)];
    cycles.add([...turned, turned[0]].join(' → '));
  };
  for (const room of graph.keys()) visit(room, []);
  return [...cycles];
}

export function findLengthProblems(files: readonly SourceFile[]): Problem[] {
  return files
    .filter(({ path }) => isSource(path))
    .flatMap(({ path, text }) => {
      const numLines = text.trimEnd().split('\n').length;
      const maxLines = path === STEP_PATH ? MAX_STEP_LINES : MAX_LINES;
      return numLines <= maxLines ? [] : [`${path} has ${numLines} lines; at most ${maxLines}`];
    });
}

/** Somebody's home folder in a file works on one machine only, and tells about it. */
export function findMachinePaths(files: readonly SourceFile[]): Problem[] {
  return files.flatMap(({ path, text }) => {
    const match = /(?<![\w.*])\/(?:home|root|Users)\/[\w.]+/.exec(text);
    return match === null ? [] : [`${path} names a path of one machine: ${match[0]}`];
  });
}
