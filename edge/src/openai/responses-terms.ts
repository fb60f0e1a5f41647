import type { ResponseTerms } from './answer-terms.ts';
import type { ResponseRequest } from './responses-schema.ts';

export function responseTermsOf(asked: ResponseRequest): ResponseTerms {
  const format = asked.text?.format;
  return {
    route: 'responses',
    hasInstructions: asked.instructions != null,
    format: format?.type === 'json_schema' ? { name: format.name, strict: format.strict ?? true } : null,
    metadata: asked.metadata ?? {},
    user: asked.user ?? null,
    safetyIdentifier: asked.safety_identifier ?? null,
    promptCacheKey: asked.prompt_cache_key ?? null,
    previousResponseId: asked.previous_response_id ?? null,
  };
}
