/**
 * Installs what is missing before an npm script runs. Plain JavaScript, because on a fresh clone it runs on
 * whatever Node (20 or later) the machine has; every script after it runs on the Node 24 of the `node` package.
 *
 *   node scripts/ensure-installed.mjs         what the product needs
 *   node scripts/ensure-installed.mjs --dev   what tests and checks need as well
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stampPath = join(root, 'node_modules', '.tidar-installed');
const nodePath = join(root, 'node_modules', '.bin', 'node');
const requiredNodeMajor = 24;

/** A hash of everything that decides what belongs in node_modules, the machine's kind included. */
function wantedHash() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  const folders = ['', ...manifest.workspaces];
  for (const path of [
    'package-lock.json',
    '.npmrc',
    ...folders.map((folder) => join(folder, 'package.json')),
  ]) {
    hash.update(`${path}\n`).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

function readStamp() {
  if (!existsSync(stampPath)) return undefined;
  const [hash, packages] = readFileSync(stampPath, 'utf8').trim().split(' ');
  return { hash, packages };
}

/** True where development packages lie in node_modules already: then they are kept up to date, not removed. */
function hasDevPackages() {
  const installedPath = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const { packages } = JSON.parse(readFileSync(installedPath, 'utf8'));
  return Object.values(packages).some((entry) => entry.dev === true);
}

/**
 * Runs the npm that called us (or the one on PATH) and returns its exit status.
 * @param {string[]} args
 */
function npm(...args) {
  const npmScript = process.env['npm_execpath'];
  const isNpm = npmScript !== undefined && /npm-cli\.[cm]?js$/.test(npmScript);
  const [command, first] = isNpm ? [process.execPath, [npmScript]] : ['npm', []];
  // onnxruntime-node would fetch CUDA libraries, hundreds of megabytes, where the machine doesn't ask for them.
  // node-llama-cpp brings its binary as a package; without one it would fetch and build sources.
  const env = { ONNXRUNTIME_NODE_INSTALL: 'skip', NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true', ...process.env };
  // npm's own report goes to stderr, so that a script's stdout stays its own.
  const result = spawnSync(command, [...first, ...args], { cwd: root, env, stdio: ['ignore', 2, 2] });
  return result.status ?? 1;
}

function nodeMajor() {
  const result = spawnSync(nodePath, ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? Number(/^v(\d+)\./.exec(result.stdout)?.[1]) : undefined;
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`\n${message}`);
  process.exit(1);
}

/** @param {boolean} withDev */
function install(withDev) {
  console.error(
    `Installing packages${withDev ? ', those for development too' : ''} (about a minute the first time) …`,
  );
  rmSync(stampPath, { force: true });
  // `npm ci` refuses the lock for lack of other platforms' optional packages; --no-save keeps tracked files as they are.
  // Only errors are shown: npm warns of engines because it runs on the machine's own Node, the packages won't.
  const options = [
    '--no-save',
    '--no-progress',
    '--loglevel=error',
    withDev ? '--include=dev' : '--omit=dev',
  ];
  const status = npm('install', ...options);
  if (status !== 0) {
    fail(
      'Packages could not be installed: npm’s own message stands above.\n' +
        'It needs the npm registry (or a mirror, set in ~/.npmrc) and about 1 GB of disk. Then run the same command again.',
    );
  }
  // Where scripts are switched off (ignore-scripts), the node package came without its program.
  if (nodeMajor() !== requiredNodeMajor) npm('rebuild', 'node', '--ignore-scripts=false');
  if (nodeMajor() !== requiredNodeMajor) {
    fail(
      `The package "node" did not bring a Node ${requiredNodeMajor} that runs here (${process.platform} ${process.arch}).\n` +
        'Delete the folder node_modules and run the same command again.',
    );
  }
}

const wantsDev = process.argv.includes('--dev');
if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`Node 20 or later is needed; this is ${process.version}.`);
const stamp = readStamp();
const hash = wantedHash();
const isCurrent = stamp?.hash === hash && (stamp.packages === 'dev' || !wantsDev) && existsSync(nodePath);
if (!isCurrent) {
  const withDev = wantsDev || hasDevPackages();
  install(withDev);
  writeFileSync(stampPath, `${hash} ${withDev ? 'dev' : 'production'}\n`);
}
