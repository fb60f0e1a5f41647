import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GenerateEvent } from '@tidar/shared/protocol.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../support/open-question.ts';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { fixturePath } from '../../gpu-backend/src/model/testing/temporary-folder.ts';
import { writeTruncated } from '../../gpu-backend/src/model/testing/truncated-folder.ts';
import { BackendProcess, readEvents, TEST_SECRET, textOf, tokenIdsOf } from '../support/backend-process.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import type { Completion } from '../support/openai-http.ts';
import { RawClient } from '../support/openai-http.ts';

const MAIN = fileURLToPath(new URL('../../gpu-backend/src/server/main.ts', import.meta.url));

let draftModel: string;
let backend: BackendProcess;
beforeAll(async () => {
  draftModel = writeTruncated(DEMO_MODEL, mkdtempSync(join(tmpdir(), 'tidar-draft-')), 2);
  backend = await BackendProcess.start({
    modelPath: DEMO_MODEL,
    args: ['--draft-model', draftModel],
    leaseSecrets: `${TEST_SECRET},${TEST_SECRETS.LEASE_SECRETS}`,
  });
}, 90_000);
afterAll(async () => {
  await backend.stop();
  rmSync(draftModel, { recursive: true });
});

let numRequests = 0;
async function post(changes: object, to = backend): Promise<Response> {
  numRequests += 1;
  const body = {
    request_id: `decoder-${numRequests}`,
    model: to.model.id,
    input: { type: 'chat', messages: [{ role: 'user', content: OPEN_QUESTION }] },
    max_tokens: 40,
    sampling: { temperature: 0.9, seed: '17' },
    trace: 'stats',
    ...changes,
  };
  return to.post(JSON.stringify(body));
}
const generate = async (changes: object): Promise<GenerateEvent[]> => readEvents(await post(changes));

const choicesOf = (events: readonly GenerateEvent[]): number[][] =>
  [0, 1, 2].map((choice) => tokenIdsOf(events, choice));
const statsOf = (events: readonly GenerateEvent[]) =>
  events.flatMap((event) => (event.type === 'step' && event.stats !== undefined ? [event.stats] : []));

describe('speculative decoding by a backend with a draft model', () => {
  const decoder = { type: 'speculative', draft_length: 5 };

  it('streams the texts of plain decoding, for several choices at once, and tells the draft model’s passes', async () => {
    const plain = await generate({ decoder: { type: 'ar' }, num_choices: 3 });
    const events = await generate({ decoder, num_choices: 3 });
    expect(choicesOf(events)).toEqual(choicesOf(plain));
    const drafted = statsOf(events).filter(({ drafted: rows }) => rows > 1);
    expect(drafted.length).toBeGreaterThan(3);
    for (const { plan, draft_passes: numPasses, draft_milliseconds: milliseconds } of drafted) {
      expect(plan).toBe('speculative');
      expect(numPasses).toBeGreaterThan(0);
      expect(milliseconds).toBeGreaterThan(0);
    }
  });

  it('ends where plain decoding ends: at a stop string, and in a format', async () => {
    const whole = textOf(await generate({ decoder }));
    const changes = { stop: [whole.slice(20, 24)] };
    expect(textOf(await generate({ decoder, ...changes }))).toBe(
      textOf(await generate({ decoder: { type: 'ar' }, ...changes })),
    );
    const grammar = { type: 'regex', pattern: '[A-Z][a-z]{0,9}( [a-z]{1,9}){3}\\.' };
    const formed = textOf(await generate({ decoder, grammar }));
    expect(formed).toMatch(/^[A-Z][a-z]{0,9}( [a-z]{1,9}){3}\.$/);
    expect(formed).toBe(textOf(await generate({ decoder: { type: 'ar' }, grammar })));
  });

  it('is refused by its name where there is no draft model, and a draft model of other tokens at the start', async () => {
    const bare = await BackendProcess.start({ modelPath: fixturePath('llama-tidar') });
    const answer = await post({ decoder, input: { type: 'tokens', token_ids: [1, 5, 9] } }, bare);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'invalid_request', param: 'decoder' } });
    await bare.stop();
    const args = [MAIN, '--model', DEMO_MODEL, '--draft-model', fixturePath('llama-tidar'), '--port', '0'];
    const env = { ...process.env, LEASE_SECRETS: 'a-secret-of-32-characters-or-more-is-here' };
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    expect(status).not.toBe(0);
    expect(stderr).toContain('The draft model llama-tidar cannot draft for demo');
  });
});

describe('block diffusion by a backend', () => {
  it.each([
    { strategy: 'confidence', tokens_per_pass: 4 },
    { strategy: 'left-to-right', tokens_per_pass: 4 },
    { strategy: 'threshold', threshold: 0.8 },
  ])('streams the same text alone, among others and when resumed inside a block: %j', async (pace) => {
    const decoder = { type: 'diffusion', block_length: 8, ...pace };
    const [first, ...others] = choicesOf(await generate({ decoder, num_choices: 3 }));
    const alone = await generate({ decoder });
    expect(tokenIdsOf(alone)).toEqual(first);
    expect(others).not.toContainEqual(first);
    for (const { plan, rows } of statsOf(alone).slice(1)) expect([plan, rows % 8]).toEqual(['diffusion', 0]);
    const [start] = alone;
    if (start?.type !== 'start') throw new Error('the first event is no start');
    for (const numKept of [3, 8, 13]) {
      const kept = first!.slice(0, numKept);
      const resume = { prompt_token_ids: start.prompt_token_ids, token_ids: [kept] };
      expect([...kept, ...tokenIdsOf(await generate({ decoder, resume }))]).toEqual(first);
    }
  });

  it('takes a pass for each so many tokens: usage and stats count also those that decided none yet', async () => {
    const decoder = { type: 'diffusion', block_length: 8, strategy: 'confidence', tokens_per_pass: 2 };
    const events = await generate({ decoder, max_tokens: 24, ignore_eos: true });
    expect(events.at(-1)).toMatchObject({ usage: { completion_tokens: 24, num_forward_passes: 12 } });
    const steps = statsOf(events);
    expect(steps.reduce((sum, { passes = 1 }) => sum + passes, 0)).toBe(12);
    // Of the first pass, which is prefill's, drafts are not told.
    expect(steps.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(22);
  });
});

describe('the decoders through the edge', () => {
  let edge: EdgeHarness;
  let client: RawClient;
  beforeAll(async () => {
    edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
    client = new RawClient(edge.url, await edge.createKey());
  });
  afterAll(() => edge.close());

  const ask = async (tidar: object, changes: object = {}): Promise<Completion> => {
    const messages = [{ role: 'user', content: 'What is the capital of France?' }];
    return client.complete({ model: 'demo', messages, max_tokens: 32, seed: 4, tidar, ...changes });
  };
  const textOfAnswer = ({ choices }: Completion): string => choices[0]!.message.content;

  it('are named by the tidar object: speculative gives the text of ar in fewer passes, diffusion one of its own', async () => {
    const plain = await ask({ decoder: 'ar' });
    const speculative = await ask({ decoder: 'speculative', draft_length: 6 });
    expect(textOfAnswer(speculative)).toBe(textOfAnswer(plain));
    expect(speculative.tidar.num_forward_passes).toBeLessThan(plain.tidar.num_forward_passes);
    const diffusion = { decoder: 'diffusion', block_length: 8, strategy: 'threshold', threshold: 0.7 };
    const answer = await ask(diffusion);
    expect(textOfAnswer(answer).length).toBeGreaterThan(0);
    expect(textOfAnswer(await ask(diffusion))).toBe(textOfAnswer(answer));
  });

  it('are those that the model is said to have', async () => {
    const headers = { authorization: `Bearer ${client.key}` };
    const model: unknown = await (await fetch(`${edge.url}/v1/models/demo`, { headers })).json();
    const all = ['ar', 'tidar', 'diffusion', 'speculative'];
    expect(model).toMatchObject({ tidar: { decoders: all } });
    for (const decoder of all) {
      expect((await ask({ decoder }, { max_tokens: 2 })).choices[0]!.message.content).toBeTypeOf('string');
    }
  });

  it('refuse by the client’s own names what they cannot honour', async () => {
    const format = { response_format: { type: 'json_object' } };
    expect(await ask({ decoder: 'diffusion' }, format)).toMatchObject({
      error: { code: 'invalid_request', param: 'response_format' },
    });
    expect(await ask({ decoder: 'diffusion' }, { max_tokens: 1020 })).toMatchObject({
      error: { code: 'context_length_exceeded' },
    });
    expect(await ask({ decoder: 'speculative', beta: 0.5 })).toMatchObject({
      error: { code: 'invalid_request', param: 'tidar.beta' },
    });
  });
});
