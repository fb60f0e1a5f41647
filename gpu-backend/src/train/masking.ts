import type { Random } from '../data/random.ts';

/** The lowest chance that a token is masked with, so that weights stay finite (LLaDA's). */
const LEAST_CHANCE = 1e-3;

/**
 * Random masks as Block Diffusion and LLaDA train: each block draws t ~ U(0, 1), each of its tokens is masked with
 * the chance p = t · (1 − ε) + ε. Returns for each token 1/p where it is masked, and 0 where it stays as it is: so a
 * token counts once in the mean. Blocks begin at blockOffset + n · blockSize.
 */
export function randomMaskShares(
  random: Random,
  numTokens: number,
  { blockSize, blockOffset }: { blockSize: number; blockOffset: number },
): Float32Array {
  const uniform = (): number => random.nextUint32() / 2 ** 32;
  const shares = new Float32Array(numTokens);
  let chance = 1;
  for (let at = 0; at < numTokens; at += 1) {
    if (at === 0 || (at - blockOffset) % blockSize === 0)
      chance = uniform() * (1 - LEAST_CHANCE) + LEAST_CHANCE;
    if (uniform() < chance) shares[at] = 1 / chance;
  }
  return shares;
}
