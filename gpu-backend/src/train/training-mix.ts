import type { ModelConfig } from '../model/config.ts';
import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import type { Mix } from '../model/graph/decoder.ts';
import { linear } from '../model/graph/decoder.ts';
import { fixedDimAt, mul, reshape, rmsNorm, rotary } from '../model/graph/ops.ts';
import type { AttendRows } from './attention.ts';

/** [1, rows, headDim / 2], of each row's position. */
export interface Rotations {
  readonly cos: Value;
  readonly sin: Value;
  /** [1, rows, 1], where the config scales queries by their positions. */
  readonly queryScales?: Value | undefined;
}

/** One layer's attention over all rows at once: its projections, and queries and keys rotated by their positions. */
export function trainingMix(
  b: GraphBuilder,
  config: ModelConfig,
  { cos, sin, queryScales }: Rotations,
  attend: AttendRows,
): Mix {
  return (_layer, weight, normed) => {
    const numRows = fixedDimAt(normed, 0);
    const projected = (kind: 'q' | 'k' | 'v'): Value => {
      const bias = config.attentionBias ? weight(`self_attn.${kind}_proj.bias`) : undefined;
      return linear(b, normed, weight(`self_attn.${kind}_proj.weight`), bias);
    };
    const rotated = (kind: 'q' | 'k', numHeads: number): Value => {
      const width = numHeads * config.headDim;
      const plain = projected(kind);
      if (!config.queryKeyNorm) return rotary(b, reshape(b, plain, [1, numRows, width]), cos, sin, numHeads);
      const apart = reshape(b, plain, [1, numRows, numHeads, config.headDim]);
      const scale = weight(`self_attn.${kind}_norm.weight`);
      const even = reshape(b, rmsNorm(b, apart, scale, config.rmsNormEps), [1, numRows, width]);
      return rotary(b, even, cos, sin, numHeads);
    };
    const values = reshape(b, projected('v'), [1, numRows, config.numKeyValueHeads * config.headDim]);
    const queries = rotated('q', config.numHeads);
    const scaled = queryScales === undefined ? queries : mul(b, queries, queryScales);
    return attend(scaled, rotated('k', config.numKeyValueHeads), values);
  };
}
