import type { PassTrace } from '@tidar/shared/trace.ts';
import type { Pass } from './api.ts';

/** A decided token as the page shows it. */
export interface ShownToken {
  readonly id: number | undefined;
  /** What it adds to the text; a character of several tokens comes with the last of them. */
  readonly text: string;
  /** It stands for no text: the end, say. */
  readonly isSpecial: boolean;
  readonly name: string;
  readonly arLogprob: number | null;
  readonly draftLogprob: number | null;
  readonly mixedLogprob: number | undefined;
  readonly draft: 'accepted' | 'rejected' | 'none';
  /** What had been drafted in its place. */
  readonly rejected: string | undefined;
}

/** A step of the answer as the page shows it. */
export interface ShownPass {
  /** From 0 on. */
  readonly index: number;
  /** Undefined for what came again after a break. */
  readonly stats: Pass | undefined;
  readonly traces: readonly PassTrace[];
  readonly tokens: readonly ShownToken[];
  /** Drafts that came to nothing, as text. */
  readonly ghost: string;
  /** Since the request went out. */
  readonly atMs: number;
}

/** Turns the passes of one answer into what is shown of them, in order. */
export class PassReader {
  readonly #decoder = new TextDecoder();
  #numPasses = 0;

  read(pass: Pass | undefined, text: string, atMs: number): ShownPass {
    const traces = pass?.trace ?? [];
    const tokens = traces.flatMap((trace) => this.#tokensOf(trace));
    const last = traces.at(-1);
    return {
      index: this.#numPasses++,
      stats: pass,
      traces,
      // A step that is told again after a break has no trace: its text is shown as one.
      tokens: tokens.length > 0 || text === '' ? tokens : [untraced(text)],
      ghost: last === undefined ? '' : ghostOf(last),
      atMs,
    };
  }

  #tokensOf(trace: PassTrace): ShownToken[] {
    return trace.tokens.map((token, at) => ({
      id: token.token_id,
      text: this.#textOf(token),
      isSpecial: token.bytes === null,
      name: token.token,
      arLogprob: token.ar_logprob,
      draftLogprob: token.draft_logprob,
      mixedLogprob: token.mixed_logprob,
      draft: token.draft,
      rejected: token.draft === 'rejected' ? trace.drafts[at]?.token : undefined,
    }));
  }

  #textOf({ token, bytes }: PassTrace['tokens'][number]): string {
    if (bytes === null) return '';
    const own = bytes === undefined ? new TextEncoder().encode(token) : Uint8Array.from(bytes);
    return this.#decoder.decode(own, { stream: true });
  }
}

function untraced(text: string): ShownToken {
  return {
    id: undefined,
    text,
    isSpecial: false,
    name: text,
    arLogprob: null,
    draftLogprob: null,
    mixedLogprob: undefined,
    draft: 'none',
    rejected: undefined,
  };
}

function ghostOf({ drafts }: PassTrace): string {
  return drafts
    .filter(({ row, accepted }) => row !== null && !accepted)
    .map(({ token, bytes }) => (bytes === undefined ? token : ''))
    .join('');
}

/** For people: what cannot be seen is named. */
export function visible(token: string): string {
  return token.replaceAll(' ', '·').replaceAll('\n', '⏎').replaceAll('\t', '⇥');
}

export function percent(logprob: number | null): string {
  if (logprob === null) return '–';
  const share = 100 * Math.exp(logprob);
  if (share > 99.95) return '100 %';
  return share < 0.05 ? '< 0.1 %' : `${share.toFixed(1)} %`;
}
