/** Chooses a device as every command does, and tells its lines or its refusal. */
import { TidarError } from '@tidar/shared/errors.ts';
import { describeChoice } from '../../../gpu-backend/src/device/choose.ts';
import { parseCudaOptions } from '../../../gpu-backend/src/device/cuda/options.ts';
import type { DeviceName } from '../../../gpu-backend/src/device/names.ts';
import { openModel } from '../../../gpu-backend/src/device/open.ts';
import { loadModelFolder } from '../../../gpu-backend/src/model/folder.ts';
import { asked, tell } from './shared.ts';

export interface ChoiceTold {
  readonly lines?: readonly (readonly [label: string, text: string])[];
  readonly refusal?: string;
}

const { path, device, cuda = '' } = asked<{ path: string; device: DeviceName; cuda?: string }>();
let lines: ChoiceTold['lines'];
try {
  const options = { numThreads: 1, device, cuda: parseCudaOptions(cuda) };
  const onChoice = (choice: Parameters<typeof describeChoice>[0]): void =>
    void (lines = describeChoice(choice));
  const session = await openModel(loadModelFolder(path), { ...options, onChoice });
  await session.dispose();
  tell({ ...(lines === undefined ? {} : { lines }) } satisfies ChoiceTold);
} catch (error) {
  if (!(error instanceof TidarError)) throw error;
  tell({ refusal: error.message } satisfies ChoiceTold);
}
