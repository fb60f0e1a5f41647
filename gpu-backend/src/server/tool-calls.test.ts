import type { ChatInput } from '@tidar/shared/chat.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { GenerateRequestInput } from '@tidar/shared/protocol.ts';
import { generateRequestSchema } from '@tidar/shared/protocol.ts';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FamilyName, ToolChatModel } from '../../../test/support/tool-chat-model.ts';
import { FAMILIES, makeToolChatModel } from '../../../test/support/tool-chat-model.ts';
import type { ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { Engine } from '../engine/engine.ts';
import { FIXED_PLANS } from '../engine/plan-chooser.ts';
import type { ModelFolder } from '../model/folder.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { EngineEvent } from './engine-messages.ts';
import { openGrammars } from './grammars.ts';
import type { CompileGrammar } from './grammars.ts';
import { prepareRequest } from './prompt.ts';
import { Desk } from './testing/desk.ts';

const parameters = {
  type: 'object',
  properties: { city: { enum: ['Köln', '"]}'] }, days: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['city', 'days'],
  additionalProperties: false,
};
const chat: ChatInput = {
  type: 'chat',
  messages: [{ role: 'user', content: 'Weather?' }],
  tools: [
    { name: 'get_weather', parameters, strict: true },
    { name: 'now', strict: false },
  ],
  parallel_tool_calls: false,
};
/** What the texts of random weights would begin with, were they not held from it: a call, in auto. */
const OPENING: Partial<Record<FamilyName, string>> = {
  qwen3: '<tool_call>',
  nemotron3: '<tool_call>',
  mistral: '[TOOL_CALLS]',
  ministral: '[TOOL_CALLS]',
  llama: '<|python_tag|>',
};

interface Told {
  text: string;
  reasoning: string;
  calls: { id: string | undefined; name: string; arguments: string }[];
  finishReason: string | undefined;
}

function toldBy(events: readonly EngineEvent[]): Told {
  const told: Told = { text: '', reasoning: '', calls: [], finishReason: undefined };
  for (const event of events) {
    if (event.type === 'finish') told.finishReason = event.finishReason;
    if (event.type !== 'step') continue;
    told.text += event.text;
    told.reasoning += event.reasoning ?? '';
    for (const { index, id, name, arguments: more } of event.tool_calls ?? []) {
      if (name !== undefined) told.calls[index] = { id, name, arguments: '' };
      told.calls[index]!.arguments += more;
    }
  }
  return told;
}

const ajv = new Ajv();

describe.each(Object.keys(FAMILIES) as FamilyName[])(
  'a model of random weights with the template of %s',
  (name) => {
    let model: ToolChatModel;
    let folder: ModelFolder;
    let session: ModelSession;
    let compile: CompileGrammar;
    beforeAll(async () => {
      model = makeToolChatModel(name);
      folder = loadModelFolder(model.path);
      session = await openModel(folder, { numThreads: 1 });
      compile = await openGrammars(folder.tokenizer, folder.config);
    });
    afterAll(async () => {
      await session.dispose();
      model.remove();
    });

    async function answerTo(
      input: Partial<ChatInput>,
      changes: Partial<GenerateRequestInput> = {},
    ): Promise<Told> {
      const request = parse(generateRequestSchema, {
        request_id: 'req_1',
        model: name,
        input: { ...chat, ...input },
        max_tokens: 240,
        sampling: { seed: '4' },
        decoder: { type: 'tidar', plan: 'dense', draft_length: 4 },
        ...changes,
      });
      const lease = { tenant: 'ann', end_token: 10_000 } as LeasePayload;
      const { engineRequest } = prepareRequest(folder, request, lease);
      const engine = new Engine(session, {
        chooser: FIXED_PLANS,
        maxCacheBytes: 1 << 28,
        prefixCacheBytes: 0,
        prefillTokens: 1024,
        sharedPrefillTokens: 1024,
      });
      const desk = new Desk(engine, folder.tokenizer!);
      desk.expect(1, engineRequest);
      desk.scheduler.submit(1, engineRequest, 10_000, await compile(engineRequest.generate.grammar!));
      await desk.run();
      engine.dispose();
      return toldBy(desk.answer(1).events);
    }

    it('calls a function that it must call, with arguments of its schema, whatever decodes it', async () => {
      const asked = { tool_choice: { name: 'get_weather' } };
      // Where a template begins a thought, its end would have to be drawn by chance: without one there is none to end.
      const close = folder.tokenizer!.marks.thoughts?.close;
      const closed = close === undefined ? {} : { resume: closedThought(close) };
      const told = await answerTo(asked, closed);
      expect({ calls: told.calls.map((call) => call.name), reason: told.finishReason }).toEqual({
        calls: ['get_weather'],
        reason: 'tool_calls',
      });
      expect(ajv.validate(parameters, JSON.parse(told.calls[0]!.arguments))).toBe(true);
      expect(told.text).toBe('');
      const plain = await answerTo(asked, { ...closed, decoder: { type: 'ar' } });
      expect(plain).toEqual(told);
    });

    /** The prompt with a thought that is over, as templates write it where thinking is switched off. */
    function closedThought(close: string): GenerateRequestInput['resume'] {
      const { tokenizer } = folder;
      const ids = tokenizer!.encodeChat([{ role: 'user', content: 'Weather?' }]);
      return { prompt_token_ids: [...ids, ...tokenizer!.encode(close)], token_ids: [[]] };
    }

    it('is held to the form of a call once it opens one, and may write text instead', async () => {
      const opening = OPENING[name];
      if (opening === undefined) return;
      const id = model.idOf(opening);
      // Its template begins a thought, in which the mark is text.
      const input = name === 'nemotron3' ? { template_variables: { enable_thinking: false } } : {};
      const biased = (bias: number) => answerTo(input, { sampling: { seed: '4', logit_bias: [[id, bias]] } });
      const called = await biased(100);
      expect(called.finishReason).toBe('tool_calls');
      expect(['get_weather', 'now']).toContain(called.calls[0]?.name);
      const written = await biased(-100);
      expect(written.calls).toEqual([]);
      expect(written.text + written.reasoning).not.toBe('');
    });
  },
);
