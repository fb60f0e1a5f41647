import { Agent } from 'node:http';
import type { SseMessage } from '@tidar/shared/sse.ts';
import { chatQuestion } from '../../edge/src/openai/question.ts';
import { NOTHING_RECALLED } from '../../edge/src/openai/responses-input.ts';
import { messagesOf, type Post, post } from './sse-client.ts';
import { type Quantiles, quantilesOf } from './quantiles.ts';
import type { System } from './system.ts';

export interface EdgeBenchOptions {
  readonly numPairs: number;
  /** Pairs before those that count. */
  readonly numWarmUps: number;
  /** What the questions differ by. */
  readonly seed: number;
  readonly onProgress?: (what: string) => void;
}

/** Milliseconds to the first token. */
export interface EdgeBenchResult {
  readonly numPairs: number;
  readonly direct: Quantiles;
  readonly edge: Quantiles;
  /** Of each pair's difference: what a slow neighbour of the direct one hides is not counted in the edge's favour. */
  readonly added: Quantiles;
}

const MAX_TOKENS = 2;

/**
 * The same question to the edge and to its backend, one right after the other, each first in every other pair. The
 * direct one has its lease before its clock starts: what an edge does for a lease is what is measured.
 */
export async function benchEdge(
  system: System,
  { numPairs, numWarmUps, seed, onProgress }: EdgeBenchOptions,
): Promise<EdgeBenchResult> {
  const key = await system.edge.createKey({ requests_per_minute: 1_000_000 });
  const agent = new Agent({ keepAlive: true });
  const direct: number[] = [];
  const edge: number[] = [];
  try {
    for (let index = -numWarmUps; index < numPairs; index += 1) {
      const question = questionOf(system.backend.model.id, `${seed}.${index + numWarmUps}`);
      const asks = [
        async () => direct.push(await timeToFirst(agent, await directPost(system, question), isDirectToken)),
        async () => edge.push(await timeToFirst(agent, edgePost(system, key, question), isEdgeToken)),
      ];
      for (const ask of index % 2 === 0 ? asks : asks.reverse()) await ask();
      if (index % 50 === 0) onProgress?.(`pair ${Math.max(0, index)} of ${numPairs}`);
    }
  } finally {
    agent.destroy();
  }
  const counted = { direct: direct.slice(numWarmUps), edge: edge.slice(numWarmUps) };
  return {
    numPairs,
    direct: quantilesOf(counted.direct),
    edge: quantilesOf(counted.edge),
    added: quantilesOf(counted.edge.map((ms, index) => ms - (counted.direct[index] ?? NaN))),
  };
}

/** Every question is new to the prefix cache beyond what all have in common. */
function questionOf(model: string, name: string): string {
  const content = `Box ${name} holds 6 red apples and 5 green ones. How many apples does it hold?`;
  const messages = [{ role: 'user', content }];
  return JSON.stringify({ model, messages, max_tokens: MAX_TOKENS, temperature: 0, seed: 1, stream: true });
}

/** As the edge asks it. */
async function directPost({ backend }: System, question: string): Promise<Post> {
  const request = chatQuestion(question).toGenerate(
    backend.model,
    `req_${crypto.randomUUID()}`,
    NOTHING_RECALLED,
  );
  const body = JSON.stringify(request);
  const authorization = `Bearer ${await backend.lease(body)}`;
  return { url: `${backend.url}/v1/generate`, headers: { authorization }, body };
}

const edgePost = ({ edge }: System, key: string, body: string): Post => ({
  url: `${edge.url}/v1/chat/completions`,
  headers: { authorization: `Bearer ${key}` },
  body,
});

async function timeToFirst(
  agent: Agent,
  request: Post,
  isToken: (message: SseMessage) => boolean,
): Promise<number> {
  const startedAt = performance.now();
  let firstAt: number | undefined;
  for await (const message of messagesOf(await post(agent, request))) {
    if (firstAt === undefined && isToken(message)) firstAt = performance.now();
  }
  if (firstAt === undefined) throw new Error('an answer without a token');
  return firstAt - startedAt;
}

const isDirectToken = ({ event }: SseMessage): boolean => event === 'step';
const isEdgeToken = ({ data }: SseMessage): boolean => /"delta":\{"content":"[^"]/.test(data);
