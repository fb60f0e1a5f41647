import { findDevice } from '../../device/open.ts';
import { outlineFolder } from '../../model/folder.ts';
import { parseDeviceFlags, tellChoice } from '../device-flags.ts';
import type { ParsedFlags } from '../flags.ts';
import { stringFlag } from '../flags.ts';
import { DEMO_MODEL } from '../open-model.ts';
import { parseShapeName, shapeFolder } from './shapes.ts';

/** The flags with the device that `auto` finds in its place: a figure names what it was measured on. */
export async function withFoundDevice(flags: ParsedFlags): Promise<ParsedFlags> {
  if (stringFlag(flags, 'device') !== 'auto') return flags;
  const shape = stringFlag(flags, 'shape');
  const path = shape === undefined ? stringFlag(flags, 'model') : shapeFolder(parseShapeName(shape));
  const choice = await findDevice(outlineFolder(path ?? DEMO_MODEL), parseDeviceFlags(flags));
  tellChoice(choice);
  return { ...flags, values: { ...flags.values, device: choice.device } };
}
