import type { UsageCounts, UsageFilter } from './types.ts';

export const EVERYTHING: UsageFilter = { from: '0000-01-01', to: '9999-12-31' };

/** The sum of several days and models. */
export function sumUsage(parts: readonly UsageCounts[]): UsageCounts {
  const sum = (name: keyof UsageCounts): number => parts.reduce((total, part) => total + part[name], 0);
  return {
    num_requests: sum('num_requests'),
    prompt_tokens: sum('prompt_tokens'),
    cached_tokens: sum('cached_tokens'),
    completion_tokens: sum('completion_tokens'),
    num_forward_passes: sum('num_forward_passes'),
    cost_nanos: sum('cost_nanos'),
    rule_loss_tokens: sum('rule_loss_tokens'),
  };
}
