/** What each parameter of a response is, for the API's reference. */
export const RESPONSE_DESCRIPTIONS: Readonly<Record<string, string>> = {
  model: 'The id of a model of GET /v1/models.',
  input:
    'A text, or a list of messages of texts, calls and what they came to; answers may be sent back as they came.',
  instructions: "The system's message before all others; those of earlier responses are not kept.",
  max_output_tokens: 'Most tokens of the answer; by default what the context has room for.',
  temperature: '0 is greedy; 1 by default.',
  top_p: 'Samples from the likeliest tokens that together have this probability; 1 by default.',
  text: "With format the answer's form: any text, a JSON object, or JSON of a schema, kept to the letter.",
  include: 'Only message.output_text.logprobs: tells the log-probability of each token.',
  top_logprobs: 'With that: how many of the likeliest tokens are told beside each.',
  stream: 'Server-sent events; their sequence numbers say where to go on after a broken connection.',
  stream_options: 'Only include_obfuscation: false.',
  metadata: 'Up to 16 pairs, kept with the bill.',
  store:
    "False: nobody can read the answer again; true by default, as long as the backend's journal is kept.",
  previous_response_id: 'The answer whose conversation it goes on with.',
  user: 'Kept with the bill.',
  safety_identifier: 'Kept with the bill, in place of user.',
  prompt_cache_key: 'Requests that share it go to one backend, as do those whose prompts begin alike.',
  truncation: 'Only disabled: what does not fit is refused.',
  service_tier: 'There is one: auto and default mean it.',
  background: 'Only false.',
  reasoning: 'Only without effort or summaries.',
  tools: 'Functions that the model may call.',
  tool_choice: 'None, auto, required, or the function to call; auto by default.',
  parallel_tool_calls: 'Whether one answer may hold several calls; true by default.',
  tidar:
    "What this API adds to OpenAI's; with seed, stop, penalties and logit_bias, which OpenAI's responses lack.",
};

/** The same of the bodies that the admin API takes. */
export const ADMIN_DESCRIPTIONS: Readonly<Record<string, string>> = {
  name: 'For people.',
  metadata: 'Up to 16 pairs, for people.',
  models: 'The models that the key may use; null: all.',
  requests_per_minute: 'A bucket that holds so many and fills evenly; 600 by default.',
  tokens_per_minute: 'Likewise of tokens; null: no limit.',
  concurrent_streams: 'How many requests may be open at once; null: no limit.',
  budget_tokens: 'What all requests may use, between two refills; null: no limit.',
  budget_nanos: 'The same in money, in whole billionths.',
  budget_refill: 'When the budget is whole again; null: never.',
  expires_at: 'Unix time in seconds; null: never.',
  grace_seconds: 'How long the old secret stays valid; 0: it ends now.',
  scopes: 'What the token may do.',
  version: 'Of the tables, as the page says it.',
  rows: 'The rows of the page.',
};
