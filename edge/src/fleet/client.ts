import type { Bindings } from '../env.ts';
import type { Fleet } from './fleet.ts';

/** The one fleet of this edge. */
export function fleetOf(env: Pick<Bindings, 'FLEET'>): DurableObjectStub<Fleet> {
  return env.FLEET.get(env.FLEET.idFromName('fleet'));
}
