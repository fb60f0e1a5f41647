import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../../../test/support/open-question.ts';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { diffusionOracle } from '../engine/diffusion/oracle.ts';
import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import { GREEDY, sampled } from '../engine/testing.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { ModelFolder } from '../model/folder.ts';
import { soloEngine } from './solo-engine.ts';
import { stepsOf } from './testing.ts';

describe('block diffusion of the demo model', () => {
  let session: ModelSession;
  let folder: ModelFolder;
  let promptIds: number[];
  beforeAll(async () => {
    folder = loadModelFolder(fileURLToPath(new URL('../../models/demo', import.meta.url)));
    session = await openModel(folder, { numThreads: 1, candidates: true });
    promptIds = folder.tokenizer!.encodeChat([{ role: 'user', content: OPEN_QUESTION }]);
  });
  afterAll(() => session.dispose());

  it('gives the oracle’s text where rows have their best candidates only', async () => {
    const engine = soloEngine(session);
    for (const sampling of [GREEDY, sampled({ temperature: 0.8, seed: 3n, topP: 0.95 })]) {
      for (const diffusion of [
        { blockLength: 8, strategy: 'confidence', tokensPerPass: 2 },
        { blockLength: 8, strategy: 'threshold', threshold: 0.7 },
      ] as const) {
        const text = { promptIds, maxTokens: 20, sampling };
        const decoder = { type: 'diffusion', ...diffusion } as const;
        const steps = await stepsOf(engine, { ...text, decoder, stopTokenIds: [] });
        const stopTokenIds = new Set(session.config.eosTokenIds);
        const { tokenIds, numPasses } = await diffusionOracle(session, {
          ...text,
          diffusion,
          stopTokenIds,
          beta: 1,
        });
        expect(steps.flatMap((step) => step.tokenIds)).toEqual(tokenIds);
        expect(steps).toHaveLength(numPasses);
      }
    }
    engine.dispose();
  });

  it('from left to right keeps a format, however many tokens a pass takes', async () => {
    const engine = soloEngine(session);
    const compiler = await GrammarCompiler.create(folder.tokenizer!, folder.config);
    const pattern = '[A-Z][a-z]{0,9}( [a-z]{1,9}){2,4}\\.';
    for (const tokensPerPass of [1, 3, 8]) {
      const grammar = await compiler.compile({ type: 'regex', pattern });
      const decoder = {
        type: 'diffusion',
        blockLength: 8,
        strategy: 'left-to-right',
        tokensPerPass,
      } as const;
      const text = {
        promptIds,
        maxTokens: 60,
        sampling: sampled({ temperature: 0.7, seed: 8n }),
        stopTokenIds: [],
      };
      const steps = await stepsOf(
        engine,
        { ...text, decoder, grammar: { type: 'regex', pattern } },
        { grammar },
      );
      expect(folder.tokenizer!.decode(steps.flatMap(({ tokenIds }) => tokenIds))).toMatch(
        new RegExp(`^${pattern}$`),
      );
    }
    engine.dispose();
  });
});
