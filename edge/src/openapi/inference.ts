import { answerQuerySchema } from '../routes/schemas.ts';
import { json, type Operation } from './operation.ts';

const streamed = (name: string, chunk: string): Operation['answer'] => ({
  description: 'The answer, or with `stream` its events.',
  content: { ...json(name), 'text/event-stream': [chunk] },
});

const READ = {
  stream: 'As a stream.',
  starting_after: 'The id of the last event that the client has; of a response its sequence_number.',
  include_obfuscation: 'Only false: no event is padded.',
};
const ANSWER_ID = 'The id of the answer, or the x-request-id that it came with.';

/** The routes that generate text or tell of models. */
export const INFERENCE: readonly Operation[] = [
  {
    route: 'POST /v1/chat/completions',
    id: 'createChatCompletion',
    summary: 'A chat completion.',
    access: 'key',
    takesIdempotencyKey: true,
    body: 'ChatCompletionRequest',
    answer: streamed('ChatCompletion', 'ChatCompletionChunk'),
  },
  {
    route: 'POST /v1/completions',
    id: 'createCompletion',
    summary: 'A completion of text or token ids.',
    access: 'key',
    takesIdempotencyKey: true,
    body: 'CompletionRequest',
    answer: streamed('Completion', 'CompletionChunk'),
  },
  {
    route: 'POST /v1/responses',
    id: 'createResponse',
    summary: 'A response.',
    access: 'key',
    takesIdempotencyKey: true,
    body: 'ResponseRequest',
    answer: streamed('Response', 'ResponseEvent'),
  },
  {
    route: 'GET /v1/responses/{id}',
    id: 'getResponse',
    summary: 'The answer of any of them again, in the form of its route.',
    access: 'key',
    pathId: ANSWER_ID,
    query: { schema: answerQuerySchema, descriptions: READ },
    answer: {
      description: 'The answer, or with `stream` its events.',
      content: {
        ...json('Response', 'ChatCompletion', 'Completion'),
        'text/event-stream': ['ResponseEvent', 'ChatCompletionChunk', 'CompletionChunk'],
      },
    },
  },
  {
    route: 'POST /v1/responses/{id}/cancel',
    id: 'cancelResponse',
    summary: 'Ends a response that is being generated, and bills what there is of it.',
    access: 'key',
    pathId: ANSWER_ID,
    answer: { description: 'The response, without its text.', content: json('Response') },
  },
  {
    route: 'DELETE /v1/responses/{id}',
    id: 'deleteResponse',
    summary: 'Deletes what is kept of the answer of any of them; its bill stays.',
    access: 'key',
    pathId: ANSWER_ID,
    answer: { description: 'It is deleted.', content: json('Deleted') },
  },
  {
    route: 'GET /v1/models',
    id: 'listModels',
    summary: 'The models that are served now and that the key may use.',
    access: 'key',
    answer: { description: 'The models.', content: json('ModelList') },
  },
  {
    route: 'GET /v1/models/{id}',
    id: 'getModel',
    summary: 'One of them.',
    access: 'key',
    pathId: 'The id of a model.',
    answer: { description: 'The model.', content: json('Model') },
  },
];
