import type { Findings, FuzzCase, Kind } from '../case.ts';
import { errorIn, isRecord, jsonOf, judge, judgeMessage } from '../judge.ts';
import { LIAR_MODEL } from '../liar.ts';
import { LIE_TEXT, LIES } from '../lies.ts';
import { type Answer, ask } from '../raw-http.ts';
import { bearer, CHAT, JSON_BODY, utf8 } from './tools.ts';

/** What may be told of a backend that fails. */
const STATUSES = [400, 409, 500, 502, 503];
const CODES = ['backend_unavailable', 'overloaded', 'internal', 'invalid_request'];

/** A backend that lies: its client gets the whole text, or one clear error. */
export const lying: Kind = {
  name: 'lie',
  weight: 6,
  draw(random) {
    return lieCase(random.pick(Object.keys(LIES)), random.chance(0.6), random.whole(0, 5));
  },
};

export function lieCase(name: string, isStream: boolean, keyIndex: number): FuzzCase {
  const { wanted, isSlow = false } = LIES[name] ?? { wanted: 'error' as const };
  return {
    title: `a backend sends ${name}${isStream ? ', to a stream' : ''}`,
    target: 'edge',
    isSlow,
    async play(world) {
      const messages = [{ role: 'user', content: name }];
      const asked = { model: LIAR_MODEL.id, messages, max_tokens: 10, stream: isStream };
      const headers = [JSON_BODY, bearer(world.keys[keyIndex % world.keys.length] ?? '')];
      const request = { method: 'POST', target: CHAT, headers, body: utf8(JSON.stringify(asked)) };
      const outcome = await ask(world.edge.url, request);
      const [answer] = outcome.answers;
      if (answer?.status === 200) return told(answer, isStream, wanted);
      const statuses = wanted === 'whole' ? [200] : STATUSES;
      return judge(outcome, { statuses, codes: CODES }, world.hidden('edge'));
    },
  };
}

function told(answer: Answer, isStream: boolean, wanted: 'whole' | 'error'): Findings {
  const problems = isStream ? problemsOfStream(answer, wanted) : problemsOfWhole(answer, wanted);
  return { unclear: problems, crashed: [] };
}

function problemsOfWhole({ body }: Answer, wanted: 'whole' | 'error'): string[] {
  if (wanted === 'error') return [`a whole answer in place of an error: ${body.toString().slice(0, 200)}`];
  const text = textOf(jsonOf(body), 'message');
  return text === LIE_TEXT ? [] : [`the text ${JSON.stringify(text)}`];
}

/** One error that closes it and no `[DONE]`, or the whole text and `[DONE]`. */
function problemsOfStream({ body }: Answer, wanted: 'whole' | 'error'): string[] {
  const data = body
    .toString()
    .split('\n\n')
    .flatMap((block) => /^data: (.*)$/m.exec(block)?.[1] ?? []);
  const errors = data.flatMap((text) => errorIn(text) ?? []);
  const isDone = data.at(-1) === '[DONE]';
  if (wanted === 'whole') {
    const text = data.map((chunk) => textOf(jsonOf(chunk), 'delta')).join('');
    return text === LIE_TEXT && isDone && errors.length === 0
      ? []
      : [`the stream ${JSON.stringify(data).slice(-300)}`];
  }
  const [error] = errors;
  if (error === undefined || errors.length > 1 || isDone || errorIn(data.at(-1) ?? '') === undefined) {
    return [`not one error at the end: ${JSON.stringify(data).slice(-300)}`];
  }
  const problems = judgeMessage(error.message, error.param);
  if (!CODES.includes(error.code)) problems.push(`code ${error.code} of a backend's lie`);
  return problems;
}

function textOf(chunk: unknown, field: 'message' | 'delta'): string {
  const choices = isRecord(chunk) && Array.isArray(chunk['choices']) ? (chunk['choices'] as unknown[]) : [];
  const [choice] = choices;
  const part = isRecord(choice) ? choice[field] : undefined;
  return isRecord(part) && typeof part['content'] === 'string' ? part['content'] : '';
}
