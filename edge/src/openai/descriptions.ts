const COMMON: Readonly<Record<string, string>> = {
  model: 'The id of a model of GET /v1/models.',
  temperature: '0 is greedy; 1 by default.',
  top_p: 'Samples from the likeliest tokens that together have this probability; 1 by default.',
  seed: 'The same seed gives the same answer; drawn and told if absent. 64 bits as a string.',
  stop: 'Up to 4 texts before which the answer ends.',
  stream: 'Server-sent events; their ids say where to go on after a broken connection.',
  stream_options: 'With include_usage, a last chunk has the usage.',
  user: 'Kept with the bill.',
  n: 'How many answers; 1 by default.',
  presence_penalty: 'Taken from the logits of tokens that were there; 0 by default.',
  frequency_penalty: 'Taken for each time that a token was there; 0 by default.',
  logit_bias: 'Added to the logits of tokens, by their ids.',
  max_tokens: 'Most tokens of each answer; by default what the context has room for.',
  tidar: "What this API adds to OpenAI's.",
};

/** What each parameter of a chat completion is, for the API's reference. */
export const CHAT_DESCRIPTIONS: Readonly<Record<string, string>> = {
  ...COMMON,
  messages: 'The conversation, as texts or lists of text parts.',
  max_completion_tokens: 'Another name of max_tokens.',
  metadata: 'Up to 16 pairs, kept with the bill.',
  logprobs: 'Tells the log-probability of each token.',
  top_logprobs: 'With logprobs: how many of the likeliest tokens are told beside each.',
  store: 'Only false: answers are kept as long as the backend keeps its journal.',
  tools: 'Functions that the model may call.',
  tool_choice:
    'None, auto, required, or the name of the one function to call; auto by default where there are tools.',
  parallel_tool_calls: 'Whether one answer may hold several calls; true by default.',
  chat_template_kwargs: "Variables of the model's chat template, such as enable_thinking.",
  response_format: "The answer's form: any text, a JSON object, or JSON of a schema, kept to the letter.",
};

/** The same of a completion. */
export const COMPLETION_DESCRIPTIONS: Readonly<Record<string, string>> = {
  ...COMMON,
  prompt: 'A text or a list of token ids, alone or as a list of one.',
  max_tokens: 'Most tokens of each answer; 16 by default.',
  echo: 'Each answer begins with the prompt, which must be a text.',
  logprobs:
    'How many of the likeliest tokens are told beside each, with log-probabilities; with echo at most 5.',
  best_of: 'Only the number that n is.',
};

/** The same of the `tidar` object. */
export const EXTENSION_DESCRIPTIONS: Readonly<Record<string, string>> = {
  decoder: 'What generates: tidar where the model has it, else ar.',
  plan: 'Of tidar: how forward passes are laid out; auto by default. Changes how fast, never which text.',
  draft_length: 'Of tidar and speculative: drafts of a step; for plan auto the most.',
  beta: 'Of tidar: trust in the causal rows, 1 by default; below 1 with plan dense only.',
  block_length: "Of diffusion: masks of a block; by default the model's block size.",
  strategy: 'Of diffusion: which masks become tokens in a pass; confidence by default.',
  tokens_per_pass: 'Of confidence and left-to-right: how many tokens a pass decides; 1 by default.',
  threshold: 'Of strategy threshold: the least probability of what a pass decides; 0.9 by default.',
  top_k: 'Samples from so many of the likeliest tokens; 0, the default, from all.',
  min_p: "Leaves out tokens below this share of the likeliest one's probability; 0 by default.",
  repetition_penalty: 'Divides the logits of tokens that were there; 1 by default.',
  min_tokens: 'No end of the text before so many tokens.',
  ignore_eos: "The model's own end tokens do not end the text.",
  stop_token_ids: 'Tokens that end the text.',
  prompt_logprobs: "Tells the prompt's log-probabilities, with so many alternatives beside each.",
  regex: 'A pattern that the whole text matches.',
  grammar: 'A grammar in EBNF that the whole text follows.',
  trace:
    'stats: tells of each forward pass its rows, drafts, accepted tokens, milliseconds and plan; full: each row too.',
};
