import { setTimeout as sleep } from 'node:timers/promises';
import type { EdgeDeath } from './edge-site.ts';
import type { Fault, Site } from './plan.ts';
import type { Say } from './trace.ts';
import type { World } from './world.ts';

/** What of the journals is gone, and who stays away until the day is over. */
export interface LossRecord {
  lost: Set<Site>;
  absent: Set<Site>;
}

const EDGE_DEATHS: Partial<Record<Fault['kind'], EdgeDeath>> = {
  'kill-workerd': 'workerd',
  'kill-edge-parent': 'parent',
  'kill-edge-all': 'all',
  'restart-edge': 'stop',
};

/** Does a fault, and mends what it broke where that is a part of it. */
export async function injectFault(world: World, fault: Fault, losses: LossRecord, say: Say): Promise<void> {
  say(`fault ${JSON.stringify(fault)}`);
  switch (fault.kind) {
    case 'kill-backend':
    case 'restart-backend':
    case 'lose-journal':
    case 'long-absence':
      await endBackend(world, fault, losses);
      break;
    case 'kill-workerd':
    case 'kill-edge-parent':
    case 'kill-edge-all':
    case 'restart-edge':
      world.remember(await world.edge.down(EDGE_DEATHS[fault.kind] ?? 'all'));
      await sleep(fault.downMs);
      await world.edge.up();
      break;
    case 'cut':
      // Nothing waits for it: it may be a byte that never comes.
      void world.sites[fault.site].wire
        .cutAfter(fault.direction, fault.numBytes)
        .then(() => say('the wire was cut'));
      return;
    case 'cut-all':
      world.sites[fault.site].wire.cutAll();
      break;
    case 'dead-wire':
      world.sites[fault.site].wire.die();
      await sleep(fault.forMs);
      world.sites[fault.site].wire.revive();
      break;
    case 'duplicate':
      await duplicate(world, fault, say);
      return;
    case 'clock':
      if (fault.whose === 'edge') await world.edge.moveClock(fault.byMs);
      else world.sites[fault.whose].moveClock(fault.byMs);
      break;
  }
  say(`over: ${fault.kind}`);
}

async function endBackend(
  world: World,
  fault: Extract<Fault, { site: Site }>,
  { lost, absent }: LossRecord,
): Promise<void> {
  const site = world.sites[fault.site];
  world.remember([await site.down(fault.kind === 'restart-backend' ? 'SIGTERM' : 'SIGKILL')]);
  site.wire.cutAll();
  if (fault.kind === 'lose-journal') {
    site.loseJournal();
    lost.add(fault.site);
  }
  if (fault.kind === 'long-absence') absent.add(fault.site);
  if (absent.has(fault.site) || !('downMs' in fault)) return;
  await sleep(fault.downMs);
  await site.up();
}

async function duplicate(
  world: World,
  { wire: name, which }: Extract<Fault, { kind: 'duplicate' }>,
  say: Say,
): Promise<void> {
  const repeatable = world.clientWires.filter(({ mayRepeat }) => mayRepeat);
  const wire =
    name === 'edge' ? repeatable[which % Math.max(1, repeatable.length)]?.wire : world.sites[name].wire;
  const numBytes = (await wire?.duplicate(which)) ?? 0;
  say(`${numBytes} bytes were said again on ${name}`);
}
