/**
 * A line of workerd's structured log as one of the edge's own: what the Worker wrote is a line of JSON already, which
 * workerd puts into a string of another; what workerd itself says becomes one.
 */
export function unwrapped(line: string): string {
  const { timestamp, level, message } = objectIn(line);
  if (typeof timestamp !== 'number' || typeof level !== 'string' || typeof message !== 'string') return line;
  if (typeof objectIn(message)['event'] === 'string') return message;
  return JSON.stringify({ time: new Date(timestamp).toISOString(), level, event: 'workerd', message });
}

/** Of a line that is no JSON object: an empty one. */
function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(text) as Record<string, unknown> | null) };
  } catch {
    return {};
  }
}
