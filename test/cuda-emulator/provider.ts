import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { libraryPlace } from '../../gpu-backend/src/device/c-api/library.ts';
import { Missing, WORK_FOLDER } from './emulator.ts';

/**
 * The one package of npm that carries a CUDA provider of onnxruntime, whole as Microsoft built it: of the product's own
 * version, which onnxruntime-node is pinned to for it. Its dependency, a plugin of 400 MB for Unity, is not needed.
 */
const PACKAGE = 'com.github.asus4.onnxruntime.linux-x64-gpu@0.4.9';
const INTEGRITY =
  'sha512-FopIhNE/Ng+v2X65wVc9clPCBCvhvA53Hxo2U0Kf5fGdVsC7iCA+mZ0KLWggcQAj7TIZ6pNidR4AC10g74Xo6w==';
const ORT_VERSION = '1.29.0';
const FILES = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];
const IN_PACKAGE = 'package/Plugins/Linux/x64';

const folderOf = (version: string): string => join(WORK_FOLDER, `onnxruntime-${version}`);

/** Whether the provider was fetched before. */
export function hasProvider(): boolean {
  return existsSync(folderOf(libraryPlace().version));
}

/** A folder with the product's onnxruntime and its CUDA provider beside each other; fetches the provider, 180 MB, once. */
export async function fetchProvider(): Promise<string> {
  const { version } = libraryPlace();
  if (version !== ORT_VERSION)
    throw new Error(
      `the product has onnxruntime ${version}, and ${PACKAGE} is of ${ORT_VERSION}: they must be one`,
    );
  const folder = folderOf(version);
  if (!existsSync(folder)) await fetchInto(folder);
  return folder;
}

async function fetchInto(folder: string): Promise<void> {
  const fetching = `${folder}.${process.pid}`;
  rmSync(fetching, { recursive: true, force: true });
  mkdirSync(fetching, { recursive: true });
  try {
    const packed = join(fetching, pack(fetching));
    if ((await integrityOf(packed)) !== INTEGRITY)
      throw new Error(`${PACKAGE} is not the package that was checked`);
    const members = FILES.map((name) => `${IN_PACKAGE}/${name}`);
    run('tar', ['-xzf', packed, '-C', fetching, '--strip-components=4', ...members]);
    rmSync(packed);
    const own = libraryPlace();
    copyFileSync(join(own.folder, own.file), join(fetching, own.file));
    if (!existsSync(folder)) renameSync(fetching, folder);
  } finally {
    rmSync(fetching, { recursive: true, force: true });
  }
}

const packSchema = z.tuple([z.object({ filename: z.string() })]);

function pack(folder: string): string {
  const npm = process.env['npm_execpath'];
  const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  const output = run(command, [
    ...first,
    'pack',
    '--json',
    '--loglevel=error',
    '--pack-destination',
    folder,
    PACKAGE,
  ]);
  return packSchema.parse(JSON.parse(output))[0].filename;
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  const why = error?.message ?? stderr.trim().split('\n').slice(0, 2).join(', ');
  throw new Missing(`${PACKAGE} cannot be fetched (${command}: ${why})`);
}

async function integrityOf(path: string): Promise<string> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(path), hash);
  return `sha512-${hash.digest('base64')}`;
}
