import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIBRARY_FOLDER, libraryPlace } from '../../../gpu-backend/src/device/c-api/library.ts';
import { FIXTURE, withFolder } from '../check.ts';
import type { ChoiceTold } from '../programs/choice.ts';
import { runProgram } from '../run.ts';
import type { Emulation } from '../run.ts';

/** What a person may lack, in the order in which it is looked at. */
export function absences(emulation: Emulation): string {
  const { version } = libraryPlace();
  return withFolder((folder) => {
    const spoiled = (name: string, files: readonly string[], content?: string): string => {
      const path = join(folder, name);
      const source = emulation.onnxruntime;
      mkdirSync(path, { recursive: true });
      for (const file of files) symlinkSync(join(source, file), join(path, file));
      if (content !== undefined) writeFileSync(join(path, 'libonnxruntime_providers_cuda.so'), content);
      return path;
    };
    const [runtime, shared] = [libraryPlace().file, 'libonnxruntime_providers_shared.so'];
    const cases: [Record<string, string>, RegExp, cuda?: string][] = [
      [{ [LIBRARY_FOLDER]: spoiled('none', [runtime]) }, /is not installed .*install\.js` installs it\.$/],
      [
        { [LIBRARY_FOLDER]: spoiled('other', [runtime, shared], '\0' + '1.28.0\0') },
        new RegExp(`is not of onnxruntime ${version}, .*install\\.js\` installs the one that is\\.$`),
      ],
      [{ CUDA_EMULATOR_FAULT: 'no-device' }, /^NVIDIA’s driver finds no GPU; `nvidia-smi -L` lists/],
      [
        { CUDA_EMULATOR_FAULT: 'old-driver' },
        /^NVIDIA’s driver is for CUDA 12\.4, and 13 is needed: `sudo apt-get install cuda-drivers`/,
      ],
      [
        { CUDA_EMULATOR_FAULT: 'broken-driver' },
        /^NVIDIA’s driver does not start \(CUDA error 999\): `sudo apt-get install cuda-drivers`/,
      ],
      [{}, /^There is no GPU 3: `nvidia-smi -L` lists 1, from 0 on\.$/, 'device=3'],
      [
        { CUDA_EMULATOR_MEMORY: String(2 ** 20) },
        /^llama-tidar does not fit: it needs \d+ MiB .* and 1\.0 MiB are free\.$/,
      ],
      [
        { LD_LIBRARY_PATH: spoiledLibraries(emulation, folder, ['libcuda.so.1', 'libcudart.so.13']) },
        /^libcublasLt\.so\.13, libcublas\.so\.13, libcurand\.so\.10 of CUDA 13 are missing: `sudo apt-get install cuda-libraries-13-0`/,
      ],
    ];
    for (const [env, sentence, cuda] of cases) {
      const asked = { path: FIXTURE, device: 'cuda', ...(cuda === undefined ? {} : { cuda }) };
      const { refusal: told = '' } = runProgram<ChoiceTold>(emulation, 'choice', asked, env).told;
      assert.match(told, sentence);
    }
    return `${cases.length} sentences`;
  });
}

/** A folder with some of the emulated libraries only. */
function spoiledLibraries({ libraries }: Emulation, folder: string, kept: readonly string[]): string {
  const path = join(folder, 'libraries');
  mkdirSync(path, { recursive: true });
  for (const name of kept) symlinkSync(join(libraries, name), join(path, name));
  return path;
}

export function fallback(emulation: Emulation): void {
  const asked = { path: FIXTURE, device: 'auto' };
  const here = runProgram<ChoiceTold>(emulation, 'choice', asked).told.lines ?? [];
  assert.match(here[0]?.[1] ?? '', /^cuda \(Emulated GPU/);
  const old =
    runProgram<ChoiceTold>(emulation, 'choice', asked, { CUDA_EMULATOR_FAULT: 'old-driver' }).told.lines ??
    [];
  assert.match(old[0]?.[1] ?? '', /^(c-api|webgpu) \(/);
  assert.match(old.find(([label]) => label === 'not cuda')?.[1] ?? '', /driver is for CUDA 12\.4/);
  const small = { CUDA_EMULATOR_MEMORY: String(2 ** 20) };
  const full = runProgram<ChoiceTold>(emulation, 'choice', asked, small).told.lines ?? [];
  assert.match(full.find(([label]) => label === 'not cuda')?.[1] ?? '', /does not fit on the Emulated GPU/);
}
