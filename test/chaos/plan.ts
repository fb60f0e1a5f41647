import { Random } from './random.ts';

/** Where a client has no answer yet, it goes on so. */
export type Return =
  /** The same request with the same Idempotency-Key, and the last event's id. */
  | 'last-event-id'
  /** The same request with the same Idempotency-Key, from its beginning. */
  | 'again'
  /** GET /v1/responses/:id, as a stream from the last event on. */
  | 'stream'
  /** GET /v1/responses/:id, whole. */
  | 'whole';

export interface ClientPlan {
  name: string;
  /** Clients of the same ask and the same key wait for the same answer. */
  ask: string;
  askIndex: number;
  hasKey: boolean;
  isStream: boolean;
  decoder: 'ar' | 'tidar';
  startMs: number;
  /** Leaves by itself after so many chunks; absent: stays. */
  leaveAfterChunks?: number;
  /** For how long it stays away; absent: for good. */
  returnAfterMs?: number;
  returnBy: Return;
  /** The wire to the edge is cut after so many bytes of the answer. */
  cutAfterBytes?: number;
  readPieceMs: number;
}

export type Site = 'a' | 'b';
export type Fault =
  | { kind: 'kill-backend' | 'restart-backend'; site: Site; downMs: number }
  /** Killed, and its journal deleted. */
  | { kind: 'lose-journal'; site: Site; downMs: number }
  /** Killed, and back only when the ledger's day is over. */
  | { kind: 'long-absence'; site: Site }
  | { kind: 'kill-workerd' | 'kill-edge-parent' | 'kill-edge-all' | 'restart-edge'; downMs: number }
  | { kind: 'cut'; site: Site; direction: 'up' | 'down'; numBytes: number }
  | { kind: 'cut-all'; site: Site }
  | { kind: 'dead-wire'; site: Site; forMs: number }
  | { kind: 'duplicate'; wire: Site | 'edge'; which: number }
  | { kind: 'clock'; whose: Site | 'edge'; byMs: number };

export interface TimedFault {
  atMs: number;
  fault: Fault;
}

/** A round as the seed has it: nothing of it depends on how the round goes. */
export interface RoundPlan {
  seed: string;
  round: number;
  clients: ClientPlan[];
  faults: TimedFault[];
  /** Every piece on the wires to the backends takes between these. */
  delayMs: { least: number; most: number };
}

const FAULTS: readonly (readonly [weight: number, draw: (random: Random) => Fault])[] = [
  [5, (random) => ({ kind: 'kill-backend', site: siteOf(random), downMs: random.whole(0, 1_500) })],
  [1, (random) => ({ kind: 'restart-backend', site: siteOf(random), downMs: random.whole(0, 500) })],
  [2, (random) => ({ kind: 'lose-journal', site: siteOf(random), downMs: random.whole(0, 500) })],
  [0.5, (random) => ({ kind: 'long-absence', site: siteOf(random) })],
  [2, (random) => ({ kind: 'kill-workerd', downMs: random.whole(0, 500) })],
  [1, (random) => ({ kind: 'kill-edge-parent', downMs: random.whole(0, 500) })],
  [1, (random) => ({ kind: 'kill-edge-all', downMs: random.whole(0, 500) })],
  [0.5, (random) => ({ kind: 'restart-edge', downMs: random.whole(0, 500) })],
  [
    8,
    (random) => ({
      kind: 'cut',
      site: siteOf(random),
      direction: random.pick(['up', 'down', 'down'] as const),
      numBytes: random.whole(1, 4_000),
    }),
  ],
  [2, (random) => ({ kind: 'cut-all', site: siteOf(random) })],
  [3, (random) => ({ kind: 'dead-wire', site: siteOf(random), forMs: random.whole(50, 1_500) })],
  [
    4,
    (random) => ({
      kind: 'duplicate',
      wire: random.pick(['a', 'b', 'edge'] as const),
      which: random.whole(0, 7),
    }),
  ],
  [
    2,
    (random) => ({
      kind: 'clock',
      whose: random.pick(['a', 'b', 'edge'] as const),
      byMs: random.pick([-2_000, -300, 5_000, 60_000, 240_000]),
    }),
  ],
];

const siteOf = (random: Random): Site => random.pick(['a', 'b'] as const);

export function drawRound(seed: string, round: number, numAsks: number): RoundPlan {
  const random = new Random(`${seed}/${round}`);
  const numClients = random.whole(1, 5);
  const clients = Array.from({ length: numClients }, (_, index) => drawClient(random, index, numAsks));
  // Some ask the same thing twice at about the same time: a retry that overtakes the first.
  for (const first of clients.filter(({ hasKey }) => hasKey)) {
    if (!random.chance(0.3)) continue;
    const startMs = first.startMs + random.whole(0, 600);
    clients.push({ ...drawClient(random, clients.length, numAsks), ...sameRequest(first), startMs });
  }
  const numFaults = random.pick([0, 1, 1, 2, 2, 3, 4]);
  const faults = Array.from({ length: numFaults }, () => ({
    atMs: random.whole(20, 1_500),
    fault: drawFault(random),
  }));
  const least = random.pick([0, 0, 2, 10]);
  return {
    seed,
    round,
    clients,
    faults: faults.toSorted((one, other) => one.atMs - other.atMs),
    delayMs: { least, most: least + random.pick([0, 5, 25]) },
  };
}

const sameRequest = ({ ask, askIndex, hasKey, isStream, decoder }: ClientPlan) => ({
  ask,
  askIndex,
  hasKey,
  isStream,
  decoder,
});

function drawClient(random: Random, index: number, numAsks: number): ClientPlan {
  const hasKey = random.chance(0.6);
  const leaves = random.chance(0.3);
  const ways: Return[] = hasKey
    ? ['last-event-id', 'last-event-id', 'again', 'stream', 'whole']
    : ['stream', 'whole'];
  return {
    name: `client ${index}`,
    ask: `ask ${index}`,
    askIndex: random.whole(0, numAsks - 1),
    hasKey,
    isStream: random.chance(0.8),
    decoder: random.pick(['ar', 'tidar'] as const),
    startMs: random.whole(0, 800),
    ...(leaves ? { leaveAfterChunks: random.whole(0, 40) } : {}),
    ...(leaves && random.chance(0.6) ? { returnAfterMs: random.whole(0, 2_500) } : {}),
    returnBy: random.pick(ways),
    ...(random.chance(0.3) ? { cutAfterBytes: random.whole(1, 20_000) } : {}),
    readPieceMs: random.pick([0, 0, 0, 20]),
  };
}

function drawFault(random: Random): Fault {
  let left = random.next() * FAULTS.reduce((total, [weight]) => total + weight, 0);
  for (const [weight, draw] of FAULTS) {
    left -= weight;
    if (left < 0) return draw(random);
  }
  throw new Error('no fault was drawn');
}
