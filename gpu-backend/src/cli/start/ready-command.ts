import type { ModelInfo } from '@tidar/shared/protocol.ts';

const QUESTION = 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?';

/** Of the kinds that the demo model was trained on; it is small, and other wordings lead it astray. */
export const DEMO_QUESTIONS = [
  'A kite costs 12 dollars but today it is 7 dollars cheaper. How many dollars do 7 kites cost today?',
  'What is the capital of Kenya?',
] as const;

/** One line for a shell: streams a chat, or lists the models where the model has no tokenizer to chat by. */
export function readyCommand(edgeUrl: string, key: string, model: ModelInfo): string {
  if (!model.has_tokenizer) return `curl ${edgeUrl}/v1/models -H 'Authorization: Bearer ${key}'`;
  const body = {
    model: model.id,
    stream: true,
    temperature: 0,
    messages: [{ role: 'user', content: QUESTION }],
  };
  const json = JSON.stringify(body).replaceAll("'", String.raw`'\''`);
  return [
    `curl -N ${edgeUrl}/v1/chat/completions`,
    `-H 'Authorization: Bearer ${key}'`,
    `-H 'Content-Type: application/json'`,
    `-d '${json}'`,
  ].join(' ');
}
