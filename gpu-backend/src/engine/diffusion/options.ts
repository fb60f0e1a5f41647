/** Which masks of a block a denoising pass turns into tokens. */
export const STRATEGIES = ['confidence', 'threshold', 'left-to-right'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** Block diffusion: blocks of masks after what is known, each turned into tokens in several passes. */
export type DiffusionOptions = { readonly blockLength: number } & (
  | {
      /** The most probable first, or the leftmost. */
      readonly strategy: 'confidence' | 'left-to-right';
      readonly tokensPerPass: number;
    }
  | {
      /** All that are at least so probable, and the most probable in any case. */
      readonly strategy: 'threshold';
      readonly threshold: number;
    }
);
