import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { openApiDocument } from '../openapi/document.ts';
import { JSON_TYPE } from './chat-answer.ts';

let text: string | undefined;

/** `GET /openapi.json`: for anybody, since it tells of nobody. */
export function getOpenApi(c: Context<AppEnv>): Response {
  text ??= JSON.stringify(openApiDocument());
  return c.body(text, 200, { 'content-type': JSON_TYPE });
}
