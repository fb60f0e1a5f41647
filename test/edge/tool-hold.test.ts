import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toGenerateRequest } from '../../edge/src/openai/chat-request.ts';
import { chatRequestSchema } from '../../edge/src/openai/chat-schema.ts';
import { holdOf } from '../../edge/src/openai/generate-request.ts';
import { model } from '../../edge/src/openai/testing.ts';
import { parseChatTemplate } from '../../gpu-backend/src/model/chat-template.ts';
import { llamaCppFile } from '../../gpu-backend/src/model/testing/llama-cpp-files.ts';
import { FAMILIES } from '../support/tool-chat-model.ts';

const numBytes = (text: string): number => new TextEncoder().encode(text).length;

/** Schemas of several levels, with what templates spell at greater length than a body does. */
const parameters = fc
  .letrec<{ schema: object }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.record({ type: fc.constant('string'), description: fc.string({ unit: 'binary' }) }),
      fc.record({ enum: fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }) }),
      fc.record({
        type: fc.constant('object'),
        properties: fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), tie('schema'), { maxKeys: 4 }),
      }),
    ),
  }))
  .schema.map((schema) => ({ type: 'object', properties: { a: schema } }));
const tool = fc.record({ description: fc.string({ unit: 'binary' }), parameters });

describe('what is held for a request with tools', () => {
  it.each(Object.values(FAMILIES).map(({ template }) => template))(
    'is no less than every byte of its prompt were a token: %s',
    (template) => {
      const source = llamaCppFile(`models/templates/${template}.jinja`).toString();
      const render = parseChatTemplate(source, { bos_token: '<s>', eos_token: '</s>' }, template);
      fc.assert(
        fc.property(fc.array(tool, { minLength: 1, maxLength: 5 }), fc.string(), (made, content) => {
          const tools = made.map((each, at) => ({
            type: 'function',
            function: {
              name: `f${at}`,
              description: each.description.toWellFormed(),
              parameters: each.parameters,
            },
          }));
          const messages = [{ role: 'user' as const, content }];
          const chat = chatRequestSchema.parse({ model: 'demo', messages, tools, max_tokens: 1 });
          const sized = { ...model, context_length: 10_000_000 };
          const request: GenerateRequest = toGenerateRequest(chat, sized, 'req_1');
          const body = new TextEncoder().encode(JSON.stringify(request));
          const { nanos } = holdOf(request, body, sized, { prompt: 1, cached: 0, completion: 0 });
          expect(nanos).toBeGreaterThanOrEqual(numBytes(render(messages, { tools })));
        }),
        { numRuns: 30 },
      );
    },
  );
});
