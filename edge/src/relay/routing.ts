import type { Heartbeat } from '@tidar/shared/heartbeat.ts';

/** The beginning of a prompt that says where its prefix may be cached. */
const PREFIX_CHARACTERS = 2_048;

export interface Candidate {
  url: string;
  /** What it said of itself; absent: it says nothing of it. */
  load?: Heartbeat['load'] | undefined;
  /** Requests of this isolate that are there now. */
  numInFlight: number;
}

/** Who asks and how the prompt begins: requests that share it go to one backend, which has its prefix cached. */
export function prefixKey(tenant: string, input: object): string {
  return `${tenant}\n${JSON.stringify(input).slice(0, PREFIX_CHARACTERS)}`;
}

/**
 * In which order backends are asked: first those that have room, each prefix at the same one of them as long as they
 * stay the same (rendezvous hashing), then the others by how full they are.
 */
export function inOrder<Backend extends Candidate>(backends: readonly Backend[], key: string): Backend[] {
  const ranked = backends.map((backend) => ({
    backend,
    load: loadOf(backend),
    score: hash(`${backend.url}\n${key}`),
  }));
  return ranked
    .sort((one, other) => {
      const [isOneFull, isOtherFull] = [one.load >= 1, other.load >= 1];
      if (isOneFull !== isOtherFull) return isOneFull ? 1 : -1;
      return (isOneFull ? one.load - other.load : 0) || other.score - one.score;
    })
    .map(({ backend }) => backend);
}

/** 1: every place is taken. Without a word from the backend nobody knows how many there are. */
export function loadOf({ load, numInFlight }: Candidate): number {
  if (load === undefined || load.max_concurrent === 0) return 0;
  // What this isolate has sent since may not be in the heartbeat yet.
  return Math.max(load.running + load.queued, numInFlight) / load.max_concurrent;
}

/** FNV-1a over the UTF-16 units, mixed at the end so that alike texts are far apart. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
