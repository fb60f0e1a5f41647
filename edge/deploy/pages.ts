import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BuildOptions, BuildResult, Metafile, Plugin } from 'esbuild';
import { build } from 'esbuild';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';

const SOURCE = join(REPOSITORY, 'edge/pages');
/** Where wrangler.toml's `assets` looks for them. */
export const BUILT_PAGES: string = join(SOURCE, '.built');
/** Keeps the folder in a clone, since wrangler refuses one that is not there. */
const KEPT = '.assetsignore';

/** By their paths from the folder of the build. */
type Files = Map<string, Uint8Array>;

/**
 * Builds every page: `<page>.html`, and what it loads under `assets/` with a hash in its name; each as gzip too. A server
 * may read the folder while this runs: files appear whole, and old ones go last.
 */
export async function buildPages(target: string = BUILT_PAGES): Promise<void> {
  const pages = readdirSync(SOURCE).filter((name) => existsSync(join(SOURCE, name, 'index.html')));
  const modules = await bundle(target, {
    entryPoints: pages.map((page) => ({ in: join(SOURCE, page, 'main.tsx'), out: page })),
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    inject: [join(SOURCE, 'common/zod-setup.ts')],
  });
  // Runs before anything is drawn, which a module does not.
  const theme = await bundle(target, {
    entryPoints: [{ in: join(SOURCE, 'common/theme-early.ts'), out: 'theme' }],
    format: 'iife',
  });
  const files: Files = new Map();
  for (const { path, contents } of [...modules.outputFiles, ...theme.outputFiles]) {
    files.set(relative(target, path), contents);
  }
  const [themePath = ''] = Object.keys(theme.metafile.outputs);
  const script = `<script src="${urlOf(themePath, target)}"></script>`;
  for (const page of pages) {
    const html = readFileSync(join(SOURCE, page, 'index.html'), 'utf8');
    const head = script + headOf(modules.metafile, `edge/pages/${page}/main.tsx`, target);
    files.set(`${page}.html`, new TextEncoder().encode(html.replace('<!-- head -->', head)));
  }
  for (const [name, contents] of [...files]) files.set(`${name}.gz`, gzipSync(contents, { level: 9 }));
  for (const [name, contents] of files) write(join(target, name), contents);
  prune(target, files);
}

type Bundled = BuildResult<{ write: false; metafile: true }>;

function bundle(target: string, options: BuildOptions): Promise<Bundled> {
  return build({
    ...options,
    absWorkingDir: REPOSITORY,
    plugins: [LEAN_ZOD],
    outdir: target,
    bundle: true,
    minify: true,
    target: 'es2023',
    entryNames: 'assets/[name]-[hash]',
    chunkNames: 'assets/[name]-[hash]',
    write: false,
    metafile: true,
  });
}

/** Zod's sentences in all languages, and its reader of JSON schemas, are more than half of it; the pages use neither. */
const LEAN_ZOD: Plugin = {
  name: 'lean zod',
  setup(esbuild) {
    esbuild.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({ contents: 'export {};' }));
    esbuild.onLoad({ filter: /zod\/v4\/classic\/from-json-schema\.js$/ }, () => ({
      contents: 'export const fromJSONSchema = undefined;',
    }));
  },
};

/** The tags that load a page's style, its module and, at once, what the module imports. */
function headOf({ outputs }: Metafile, entryPoint: string, target: string): string {
  const entry = Object.entries(outputs).find(([, output]) => output.entryPoint === entryPoint);
  if (entry === undefined) throw new Error(`${entryPoint} was not built`);
  const [path, { cssBundle, imports }] = entry;
  const preloads = imports
    .filter(({ kind }) => kind === 'import-statement')
    .map((chunk) => `<link rel="modulepreload" href="${urlOf(chunk.path, target)}">`);
  return [
    ...(cssBundle === undefined ? [] : [`<link rel="stylesheet" href="${urlOf(cssBundle, target)}">`]),
    ...preloads,
    `<script type="module" src="${urlOf(path, target)}"></script>`,
  ].join('');
}

const urlOf = (output: string, target: string): string =>
  `/${relative(target, join(REPOSITORY, output)).replaceAll('\\', '/')}`;

function write(path: string, contents: Uint8Array): void {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

/** Removes what other builds left. */
function prune(folder: string, files: Files): void {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const isOurs = entry.isDirectory() || entry.name === KEPT || entry.name.startsWith('.');
    if (!isOurs && !files.has(relative(folder, path))) rmSync(path, { force: true });
  }
}
