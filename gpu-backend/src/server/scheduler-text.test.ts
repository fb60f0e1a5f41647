import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateOptions } from '../decode/generate.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import { sampled } from '../engine/testing.ts';
import { Demo, Desk } from './testing/desk.ts';
import type { Answer } from './testing/desk.ts';

let demo: Demo;
beforeAll(async () => {
  demo = await Demo.open();
});
afterAll(() => demo.session.dispose());

describe('a stop string', () => {
  it('cuts at the token that completes it, inside an accepted run, and nothing after it is kept', async () => {
    const whole = (await demo.answerTo(demo.request({ sampling: sampled({}) }))).choices[0]!;
    for (const at of [4, 9, 15]) {
      const stop = whole.text.slice(at, at + 5);
      const desk = new Desk(soloEngine(demo.session), demo.tokenizer);
      desk.submit(1, demo.request({ sampling: sampled({}) }, { stop: [stop] }));
      await desk.run();
      const cut = desk.answer(1).choices[0]!;
      expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
      expect(cut.finishReason).toBe('stop');
      expect(demo.tokenizer.decode(cut.tokenIds)).toContain(stop);
      expect(demo.tokenizer.decode(cut.tokenIds.slice(0, -1))).not.toContain(stop);
      desk.engine.dispose();
    }
  });
});

describe('log-probabilities', () => {
  it('come one a token, the same for every plan, and add up to less than certainty', async () => {
    const ask = (decoder: GenerateOptions['decoder']) =>
      demo.answerTo(demo.request({ decoder, logprobs: 2 }));
    const plain = await ask({ type: 'ar' });
    const drafted = await ask({ type: 'tidar', plan: 'dense', draftLength: 6, beta: 1 });
    const of = ({ events }: Answer) =>
      events.flatMap((event) => (event.type === 'step' ? (event.logprobs ?? []) : []));
    expect(of(drafted)).toEqual(of(plain));
    expect(of(plain).map(({ tokenId }) => tokenId)).toEqual(plain.choices[0]!.tokenIds);
    for (const { logprob, top } of of(plain)) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top).toHaveLength(2);
    }
  });

  it('of the prompt come with `admitted`, one a token, and bypass kept prefixes', async () => {
    const desk = demo.desk();
    for (const id of [1, 2]) {
      desk.submit(id, demo.request({ promptLogprobs: 1 }));
      await desk.run();
    }
    const [first, second] = [1, 2].map((id) => desk.answer(id).events[0]!);
    expect(first).toEqual(second);
    const told = first!.type === 'admitted' ? first!.promptLogprobs! : [];
    expect(told.map((one) => one?.tokenId)).toEqual([undefined, ...demo.promptIds.slice(1)]);
    desk.engine.dispose();
  });
});
