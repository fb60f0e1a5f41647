import { z } from 'zod';

/**
 * What is told of a response's request in its answer and is in no journal: the ledger keeps it, so that the answer can
 * be read again.
 */
export const responseTermsSchema = z.object({
  route: z.literal('responses'),
  /** The first message is its instructions. */
  hasInstructions: z.boolean(),
  /** Of a JSON schema. */
  format: z.object({ name: z.string(), strict: z.boolean() }).nullable(),
  metadata: z.record(z.string(), z.string()),
  user: z.string().nullable(),
  safetyIdentifier: z.string().nullable(),
  promptCacheKey: z.string().nullable(),
  previousResponseId: z.string().nullable(),
});
export type ResponseTerms = z.infer<typeof responseTermsSchema>;

/** The form that the answer of a request has, as its ledger keeps it. */
export const answerTermsSchema = z.discriminatedUnion('route', [
  z.object({ route: z.literal('chat') }),
  z.object({ route: z.literal('completions'), echo: z.boolean() }),
  responseTermsSchema,
]);
export type AnswerTerms = z.infer<typeof answerTermsSchema>;

/** As the ledger has them; undefined: of a release that did not keep them. */
export function parseAnswerTerms(json: string | undefined): AnswerTerms | undefined {
  return json === undefined ? undefined : answerTermsSchema.parse(JSON.parse(json));
}
