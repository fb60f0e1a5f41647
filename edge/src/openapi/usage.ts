import { usageQuerySchema } from '../routes/schemas.ts';
import { json, type Operation } from './operation.ts';

export const USAGE_QUERY = {
  limit: 'How many of the last requests are told.',
  model: 'Only of this model.',
  from: 'The first day, in UTC.',
  to: 'The last day, in UTC.',
};

const page = (id: string, path: string, summary: string): Operation => ({
  route: `GET ${path as '/'}`,
  id,
  summary,
  access: 'anybody',
  answer: { description: 'A page for browsers.', content: { 'text/html': [''] } },
});

/** What holders of keys see of their bills, and what is for anybody or for backends. */
export const OWN: readonly Operation[] = [
  {
    route: 'GET /v1/usage',
    id: 'getUsage',
    summary: 'What the key was billed by day and model, its budget, and its last requests.',
    access: 'key',
    query: { schema: usageQuerySchema, descriptions: USAGE_QUERY },
    answer: { description: 'The usage.', content: json('Usage') },
  },
  {
    route: 'GET /v1/usage/requests/{id}',
    id: 'getUsageRequest',
    summary: 'One request of the key and, once it is billed, its signed receipt.',
    access: 'key',
    pathId: 'The x-request-id that it came with.',
    answer: { description: 'The request.', content: json('UsageRequest') },
  },
  {
    route: 'GET /v1/receipt-keys',
    id: 'listReceiptKeys',
    summary: 'The public keys that receipts are checked with.',
    access: 'anybody',
    answer: { description: 'A JSON Web Key Set.', content: json('ReceiptKeys') },
  },
  {
    route: 'GET /health',
    id: 'getHealth',
    summary: 'Whether some backend can take requests; 503 if none can.',
    access: 'anybody',
    answer: { description: 'Some backend can.', content: json('Health') },
  },
  {
    route: 'GET /openapi.json',
    id: 'getOpenApi',
    summary: 'This document.',
    access: 'anybody',
    answer: { description: 'OpenAPI 3.1.', content: json('OpenApi') },
  },
  {
    route: 'POST /internal/heartbeat',
    id: 'postHeartbeat',
    summary: 'A backend says that it lives: its signed token is the Authorization header.',
    access: 'backend',
    answer: { status: 204, description: 'It was heard.' },
  },
  page('getPlayground', '/', 'The playground.'),
  page('getConsole', '/console', 'The console.'),
  {
    route: 'GET /assets/{id}',
    id: 'getAsset',
    summary: 'A file of a page.',
    access: 'anybody',
    pathId: 'The name of the file.',
    answer: {
      description: 'The file.',
      content: { 'text/javascript': [''], 'text/css': [''], 'image/svg+xml': [''] },
    },
  },
];
