/**
 * Block diffusion: blocks of masks after what is known, each turned into tokens in several passes. A strategy says which
 * masks of a block a pass turns into tokens.
 */
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
