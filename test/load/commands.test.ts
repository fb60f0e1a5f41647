import { describe, expect, it, vi } from 'vitest';
import { FlagError } from '../../gpu-backend/src/cli/flags.ts';
import { edgeCommand } from '../../scripts/bench/edge-command.ts';
import { loadCommand } from '../../scripts/bench/load-command.ts';

describe('bench edge and bench load', () => {
  it.each([
    [edgeCommand, ['--nothing'], '--nothing'],
    [edgeCommand, ['--pairs', '0'], '--pairs'],
    [edgeCommand, ['now'], '"now"'],
    [loadCommand, ['--streams', 'many'], '"many"'],
    [loadCommand, ['--interval', '1'], '--interval'],
  ] as const)(
    'refuse what they do not know, before anything is started: %# %j',
    async (command, args, named) => {
      const refusal: unknown = await command(args).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(FlagError);
      expect(String(refusal)).toContain(named);
    },
  );

  it('tell their flags, and the line that scripts read', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await edgeCommand(['--help']);
    await loadCommand(['--help']);
    const told = write.mock.calls.map(([text]) => String(text));
    write.mockRestore();
    expect(told[0]).toMatch(/--pairs N .*\n(.*\n)*.*The last line is: edge adds p50 X ms p99 Y ms\n$/);
    expect(told[1]).toMatch(/--streams N .*\n(.*\n)*.*The last line is: N streams, 0 lost\n$/);
  });
});
