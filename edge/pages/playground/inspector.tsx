import type { JSX } from 'preact';
import { inspected } from './state.ts';
import type { Place } from './state.ts';
import { percent, visible } from './tokens.ts';
import type { ShownToken } from './tokens.ts';

/** What is known of the token that is looked at. */
export function Inspector(): JSX.Element {
  const place = inspected.value;
  const token = place === undefined ? undefined : tokenOf(place);
  return (
    <section class="inspector" aria-label="The token">
      {place === undefined || token === undefined ? (
        <p class="soft">Point at a token, tap it, or go through the answer with the arrow keys.</p>
      ) : (
        <>
          <p class="token-name">
            <code>{token.isSpecial ? token.name : visible(token.name)}</code>
            <span class="soft">
              {' '}
              pass {place.pass + 1}, {ordinal(place.token + 1)} of its {numTokens(place)}
            </span>
          </p>
          <Bar name="Autoregressive" logprob={token.arLogprob} kind="ar" />
          <Bar name="Draft (diffusion)" logprob={token.draftLogprob} kind="draft" />
          {token.mixedLogprob !== undefined && (
            <Bar name="Mixed by β" logprob={token.mixedLogprob} kind="mixed" />
          )}
          <p>{fateOf(token, place.token)}</p>
        </>
      )}
    </section>
  );
}

/** For who listens. */
export function sentenceOf(place: Place): string {
  const token = tokenOf(place);
  if (token === undefined) return '';
  const name = token.text.trim() === '' ? visible(token.name) : token.text;
  return `${name}. Pass ${place.pass + 1}. Autoregressive ${percent(token.arLogprob)}, draft ${percent(token.draftLogprob)}. ${fateOf(token, place.token)}`;
}

const tokenOf = ({ run, pass, token }: Place): ShownToken | undefined => run.passes[pass]?.tokens[token];
const numTokens = ({ run, pass }: Place): number => run.passes[pass]?.tokens.length ?? 0;

/** `at`: its place among the tokens of its pass. */
function fateOf({ draft, rejected }: ShownToken, at: number): string {
  if (draft === 'accepted') return 'It was drafted, and the draft was right.';
  if (draft === 'rejected')
    return `The draft here was “${visible(rejected ?? '')}”; the model itself chose this, and the run ended.`;
  if (at > 0) return 'All drafts of the pass were right, and the model itself added this one.';
  return 'No draft stood here: the model chose it as plain decoding does.';
}

interface BarProps {
  readonly name: string;
  readonly logprob: number | null;
  readonly kind: 'ar' | 'draft' | 'mixed';
}

function Bar({ name, logprob, kind }: BarProps): JSX.Element {
  return (
    <div class="bar-line">
      <span>{name}</span>
      <span class="bar">
        <span
          class={`fill ${kind}`}
          style={{ width: `${logprob === null ? 0 : 100 * Math.exp(logprob)}%` }}
        />
      </span>
      <span class="number">{percent(logprob)}</span>
    </div>
  );
}

function ordinal(n: number): string {
  const ending = n % 100 > 10 && n % 100 < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${ending}`;
}
