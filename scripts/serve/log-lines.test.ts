import { describe, expect, it } from 'vitest';
import { unwrapped } from './log-lines.ts';

const workerd = (message: string): string =>
  JSON.stringify({ timestamp: Date.UTC(2026, 10, 24), level: 'warn', message });

describe('the log of npm run serve', () => {
  it('has the Worker’s lines as the Worker wrote them', () => {
    const line = JSON.stringify({ event: 'request', request_id: 'req_1', message: 'a "quoted" word' });
    expect(unwrapped(workerd(line))).toBe(line);
  });

  it('has what workerd itself says as a line of the same form', () => {
    expect(JSON.parse(unwrapped(workerd('it is {hot}')))).toEqual({
      time: '2026-11-24T00:00:00.000Z',
      level: 'warn',
      event: 'workerd',
      message: 'it is {hot}',
    });
  });

  it('passes on what is neither', () => {
    for (const line of ['', 'plain', '{"a":1}', 'null']) expect(unwrapped(line)).toBe(line);
  });
});
