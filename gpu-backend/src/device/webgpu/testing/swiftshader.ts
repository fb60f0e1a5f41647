import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inflate } from '@sparticuz/chromium';

const require = createRequire(import.meta.url);

/**
 * The environment of a process in which WebGPU has an adapter without a GPU: SwiftShader, Vulkan on the CPU, which
 * comes with the Chromium of the browsers' tests. For Linux on x64.
 */
export async function swiftShaderEnvironment(): Promise<NodeJS.ProcessEnv> {
  const folder = await unpacked();
  return {
    ...process.env,
    LD_LIBRARY_PATH: folder,
    VK_DRIVER_FILES: path.join(folder, 'vk_swiftshader_icd.json'),
    XDG_RUNTIME_DIR: folder,
  };
}

/** Unpacked once for all processes of a machine's user; the package unpacks into TMPDIR. */
async function unpacked(): Promise<string> {
  const archive = path.join(
    path.dirname(require.resolve('@sparticuz/chromium')),
    '../bin/swiftshader.tar.br',
  );
  const kept = path.join(tmpdir(), `tidar-swiftshader-${process.getuid?.() ?? 0}`);
  if (existsSync(path.join(kept, 'libvulkan.so.1'))) return kept;
  const fresh = mkdtempSync(path.join(tmpdir(), 'tidar-swiftshader-'));
  const saved = process.env['TMPDIR'];
  process.env['TMPDIR'] = fresh;
  try {
    await inflate(archive);
  } finally {
    if (saved === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = saved;
  }
  try {
    renameSync(fresh, kept);
  } catch {
    rmSync(fresh, { recursive: true, force: true }); // another process was sooner
  }
  return kept;
}
