import type { Bindings } from '../env.ts';
import type { Directory } from './directory.ts';

/** The one directory of this edge. */
export function directoryOf(env: Bindings): DurableObjectStub<Directory> {
  return env.DIRECTORY.get(env.DIRECTORY.idFromName('directory'));
}
