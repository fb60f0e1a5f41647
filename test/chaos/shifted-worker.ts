import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WORKER_MODULE } from '../../edge/deploy/worker-files.ts';

/** Sets the clock of a Worker that `shiftWorkerClock` has prepared. */
export const CLOCK_PATH = '/chaos/clock';

/**
 * Puts a clock that can be moved around the built Worker's module: its `Date`, and the alarms that workerd keeps by the
 * system's clock. The Worker's own code stays as it is, and knows nothing of it. `offsetMs`: where the clock stands
 * before anything else runs.
 */
export function shiftWorkerClock(folder: string, original: string, offsetMs: number): void {
  const names = /export \{([^}]*)\};?\s*(?:\/\/[^\n]*\s*)*$/.exec(original)?.[1];
  const entries = names?.split(',').map((entry) => entry.trim().split(/\s+as\s+/)) ?? [];
  const local = (exported: string): string => {
    const found = entries.find((entry) => entry.at(-1) === exported)?.[0];
    if (found === undefined) throw new Error(`the Worker's module exports no ${exported}`);
    return found;
  };
  const classes = ['Ledger', 'Directory', 'Fleet'];
  const shifted = classes.map(
    (name) => `class Shifted${name} extends ${local(name)} {
  constructor(ctx, env) { shiftAlarms(ctx.storage); super(ctx, env); }
}`,
  );
  const body = original.replace(/export \{[^}]*\};?\s*(?:\/\/[^\n]*\s*)*$/, '');
  const module = `${PROLOGUE(offsetMs)}${body}
${shifted.join('\n')}
const shiftedApp = {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname !== ${JSON.stringify(CLOCK_PATH)}) return ${local('default')}.fetch(request, env, ctx);
    chaosClock.offsetMs = Number(url.searchParams.get('ms'));
    return new Response(String(Date.now()));
  },
};
export { ${classes.map((name) => `Shifted${name} as ${name}`).join(', ')}, shiftedApp as default };
`;
  writeFileSync(join(folder, WORKER_MODULE), module);
}

export const readModule = (folder: string): string => readFileSync(join(folder, WORKER_MODULE), 'utf8');

const PROLOGUE = (offsetMs: number): string => `
const chaosClock = { offsetMs: ${offsetMs} };
const SystemDate = Date;
globalThis.Date = class extends SystemDate {
  constructor(...when) { super(...(when.length === 0 ? [SystemDate.now() + chaosClock.offsetMs] : when)); }
  static now() { return SystemDate.now() + chaosClock.offsetMs; }
};
let areAlarmsShifted = false;
function shiftAlarms(storage) {
  if (areAlarmsShifted) return;
  areAlarmsShifted = true;
  const prototype = Object.getPrototypeOf(storage);
  const { setAlarm, getAlarm } = prototype;
  prototype.setAlarm = function (atMs, ...rest) { return setAlarm.call(this, Number(atMs) - chaosClock.offsetMs, ...rest); };
  prototype.getAlarm = async function (...rest) {
    const atMs = await getAlarm.apply(this, rest);
    return atMs === null ? null : atMs + chaosClock.offsetMs;
  };
}
`;
