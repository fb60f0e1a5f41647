import { TidarError } from '@tidar/shared/errors.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** More would make a `start` event of many megabytes. */
const MAX_PROMPT_SCORES = 50_000;

/** What a request is checked against. */
export interface RequestContext {
  readonly promptIds: readonly number[];
  /** Of each choice, as asked for or as the context has room for. What `assertOptions` checks is checked before. */
  readonly maxTokens: number;
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer | undefined;
}

/** Refuses by name what no schema can: parameters that contradict each other, the model or the prompt. */
export function assertRequest(request: GenerateRequest, context: RequestContext): void {
  for (const check of CHECKS) check(request, context);
}

type Check = (request: GenerateRequest, context: RequestContext) => void;

const CHECKS: readonly Check[] = [
  assertStopTokenIds,
  assertResume,
  assertStop,
  assertGrammar,
  assertPromptLogprobs,
];

function refuse(param: string, sentence: string): never {
  throw new TidarError('invalid_request', sentence, { param });
}

function assertStopTokenIds({ stop_token_ids: ids }: GenerateRequest, { vocabSize }: RequestContext): void {
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown === undefined) return;
  const sentence = `stop_token_ids names token id ${unknown}, which is not in the model's vocabulary of ${vocabSize}.`;
  refuse('stop_token_ids', sentence);
}

function assertResume(request: GenerateRequest, { maxTokens, vocabSize }: RequestContext): void {
  const { resume, num_choices: numChoices } = request;
  if (resume === undefined) return;
  const lists = resume.token_ids;
  if (lists.length !== numChoices) {
    refuse('resume', `resume has the tokens of ${lists.length} choices, the request has ${numChoices}.`);
  }
  const unknown = lists.flat().find((tokenId) => tokenId >= vocabSize);
  if (unknown !== undefined) {
    refuse(
      'resume',
      `resume names token id ${unknown}, which is not in the model's vocabulary of ${vocabSize}.`,
    );
  }
  const counts = lists.map(({ length }) => length);
  if (Math.max(...counts) > maxTokens || Math.min(...counts) >= maxTokens) {
    refuse('resume', `Nothing is left to resume: ${counts.join(', ')} tokens of ${maxTokens} are there.`);
  }
}

function assertStop({ stop }: GenerateRequest, { tokenizer }: RequestContext): void {
  if (stop.length === 0) return;
  if (tokenizer === undefined) {
    refuse('stop', 'This model has no tokenizer; use stop_token_ids in place of stop strings.');
  }
  if (stop.some((text) => !text.isWellFormed())) refuse('stop', 'A stop string is not well-formed text.');
}

function assertGrammar({ grammar }: GenerateRequest, { tokenizer }: RequestContext): void {
  if (grammar === undefined || tokenizer !== undefined) return;
  refuse('grammar', 'This model has no tokenizer, so that the form of its text cannot be ruled.');
}

function assertPromptLogprobs(request: GenerateRequest, { promptIds }: RequestContext): void {
  const numScores = promptIds.length * (1 + (request.prompt_logprobs ?? 0));
  if (request.prompt_logprobs === undefined || numScores <= MAX_PROMPT_SCORES) return;
  const sentence = `prompt_logprobs of ${promptIds.length} tokens would be ${numScores} numbers, more than ${MAX_PROMPT_SCORES}.`;
  refuse('prompt_logprobs', sentence);
}
