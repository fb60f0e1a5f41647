import { describe, it } from 'vitest';
import { CHECKS } from './checks.ts';
import type { Check } from './check.ts';
import { Missing } from './emulator.ts';
import { hasProvider } from './provider.ts';
import { prepare } from './run.ts';
import type { Emulation } from './run.ts';

/** The provider is 180 MB: a person fetches it by the command; where everything is checked it comes by itself. */
const mayFetch = hasProvider() || process.env['CI'] !== undefined;

async function prepareOrTell(): Promise<Emulation | string> {
  if (!mayFetch) return 'the CUDA provider was not fetched: npm run check:cuda does';
  try {
    return await prepare();
  } catch (error) {
    if (error instanceof Missing) return error.message;
    throw error;
  }
}

const prepared = await prepareOrTell();
const title = typeof prepared === 'string' ? `CUDA, SKIPPED: ${prepared}` : 'CUDA on an emulated GPU';

async function checkHere({ run }: Check): Promise<void> {
  if (typeof prepared !== 'string') await run(prepared, 'few');
}

describe.skipIf(typeof prepared === 'string')(`${title}`, () => {
  it.each(CHECKS)('$title', async (check) => checkHere(check), 120_000);
});
