import type { ModelInfo } from '@tidar/shared/protocol.ts';

const QUESTION = 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?';

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
