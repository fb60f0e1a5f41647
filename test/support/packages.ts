import { importsOf, resolveImport } from './structure.ts';
import type { Problem, SourceFile } from './structure.ts';

/** The rules of package.json files and the lock. */
interface Manifest {
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

const parse = (file: SourceFile): Manifest => JSON.parse(file.text) as Manifest;
const isManifest = ({ path }: SourceFile): boolean => /(^|\/)package\.json$/.test(path);

/** Versions are exact, and one package has one version everywhere. */
export function findVersionProblems(files: readonly SourceFile[]): Problem[] {
  const seen = new Map<string, string>();
  return files.filter(isManifest).flatMap((file) => {
    const { dependencies, devDependencies } = parse(file);
    return Object.entries({ ...dependencies, ...devDependencies }).flatMap(([name, version]) => {
      if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        return [`${file.path}: ${name} ${version} is not exact`];
      const other = seen.get(name) ?? version;
      seen.set(name, other);
      return other === version ? [] : [`${file.path}: ${name} ${version}, but ${other} elsewhere`];
    });
  });
}

/** A lock that names a registry installs from that registry only, and may name a private one. */
export function findLockProblems(lock: SourceFile): Problem[] {
  return [...lock.text.matchAll(/"resolved": "(\w+:[^"]*)"/g)].map(([, url]) => `${lock.path} names ${url}`);
}

/** `npm start` and `npm test` alone do everything, and so does every other script. */
export function findScriptProblems(file: SourceFile): Problem[] {
  const scripts = parse(file).scripts ?? {};
  return Object.keys(scripts)
    .filter((name) => !(name.startsWith('pre') && name.slice(3) in scripts))
    .filter((name) => !scripts[`pre${name}`]?.startsWith('node scripts/ensure-installed.mjs'))
    .map((name) => `npm run ${name} does not install what is missing first`);
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** The files that run after an install without development packages: the scripts' own, and the Worker. */
function productEntries(root: SourceFile | undefined): string[] {
  const scripts = (root && parse(root).scripts) ?? {};
  return Object.entries(scripts).flatMap(([name, command]) => {
    const needsDev = name.startsWith('pre') || scripts[`pre${name}`]?.endsWith('--dev') === true;
    const entry = /^node (\S+\.ts)/.exec(command)?.[1];
    return needsDev || entry === undefined ? [] : [entry];
  });
}

/**
 * `npm start` installs no development packages: each package that a product script reaches must be a dependency of
 * the workspace that imports it.
 */
export function findUndeclaredPackages(files: readonly SourceFile[]): Problem[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const queue = [...productEntries(byPath.get('package.json')), 'edge/src/index.ts'];
  const reached = new Set(queue);
  const problems: Problem[] = [];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const file = byPath.get(path);
    if (file === undefined) continue;
    const workspace = path.split('/')[0] ?? '';
    const workspaceManifest = byPath.get(`${workspace}/package.json`);
    const declared = (workspaceManifest && parse(workspaceManifest).dependencies) ?? {};
    for (const specifier of importsOf(withoutTypeImports(file))) {
      const target = resolveImport(path, specifier);
      if (target !== undefined && !reached.has(target)) queue.push(target);
      if (target !== undefined) reached.add(target);
      else if (!/^(node|cloudflare):/.test(specifier) && declared[packageOf(specifier)] === undefined) {
        problems.push(
          `${path} imports ${packageOf(specifier)}, which ${workspace}/package.json does not list`,
        );
      }
    }
  }
  return problems;
}

function withoutTypeImports({ path, text }: SourceFile): SourceFile {
  return { path, text: text.replaceAll(/^(import|export) type [^;]*;/gm, '') };
}
