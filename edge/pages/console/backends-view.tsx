import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { duration, number } from './format.ts';
import { Badge, Bar, Empty, Needs, numeric, Problem, Table, type Tone, ViewHead, Waiting } from './parts.tsx';
import { type Backend, backendListSchema } from './schemas.ts';
import { admin } from './session.ts';
import { useAnswer } from './use-answer.ts';

const EVERY_MS = 3_000;

const STATES: Readonly<Record<Backend['status'], { tone: Tone; word: string; advice?: string }>> = {
  ok: { tone: 'good', word: 'serves' },
  draining: { tone: 'warn', word: 'shuts down', advice: 'It finishes what it has and takes nothing new.' },
  unreachable: {
    tone: 'bad',
    word: 'unreachable',
    advice: 'Nothing answers at its address: is it started, and is the address right in BACKENDS?',
  },
  incompatible: {
    tone: 'bad',
    word: 'incompatible',
    advice: 'It speaks another version of the protocol: bring edge and backend to one release.',
  },
  silent: {
    tone: 'bad',
    word: 'silent',
    advice: 'Its heartbeats have stopped: it has died, or cannot reach this edge.',
  },
};

/** Who serves: health, load, and what passes take there. */
export function BackendsView(): JSX.Element {
  return (
    <>
      <ViewHead title="Backends" />
      <Needs scope="fleet:read">
        <Backends />
      </Needs>
    </>
  );
}

function Backends(): JSX.Element {
  const { answer, problem } = useAnswer(
    async (signal) => (await admin(backendListSchema, '/backends', { signal })).data,
    'backends',
    EVERY_MS,
  );
  return (
    <>
      {problem !== undefined && <Problem>{problem}</Problem>}
      {answer === undefined && problem === undefined && <Waiting />}
      {answer !== undefined && answer.length === 0 && (
        <Empty title="There is no backend.">
          Start one with <code>npm run backend -- --model … --edge …</code>, or name it in the edge’s{' '}
          <code>BACKENDS</code>.
        </Empty>
      )}
      <div class="backends">
        {answer?.map((backend) => (
          <BackendCard key={backend.address} backend={backend} />
        ))}
      </div>
    </>
  );
}

function BackendCard({ backend }: { readonly backend: Backend }): JSX.Element {
  const { tone, word, advice } = STATES[backend.status];
  const { load, models, heartbeat_age_ms: age, slot_curve: curve } = backend;
  return (
    <section class="card" aria-label={backend.address}>
      <div class="row spread">
        <h2 class="mono">{backend.address}</h2>
        <Badge tone={tone}>{word}</Badge>
      </div>
      {advice !== undefined && <p class="soft">{advice}</p>}
      <dl class="facts">
        <dt>Load</dt>
        <dd>
          {load === null ? (
            <span class="soft">not told</span>
          ) : (
            <>
              {number(load.running)} of {number(load.max_concurrent)} run, {number(load.queued)} wait
              <Bar part={load.running} whole={load.max_concurrent} />
            </>
          )}
        </dd>
        <dt>Last heartbeat</dt>
        <dd>
          {age === null ? <span class="soft">sends none: asked by the edge</span> : `${duration(age)} ago`}
        </dd>
        {models.map((model) => (
          <Model key={model.id} model={model} />
        ))}
      </dl>
      <h3>Milliseconds of a pass, by how many texts share it</h3>
      {curve === null || curve.length === 0 ? (
        <p class="soft">Not told. It measures while it works, and says it with its heartbeats.</p>
      ) : (
        <SlotCurve curve={curve} />
      )}
    </section>
  );
}

function Model({ model }: { readonly model: Backend['models'][number] }): JSX.Element {
  const { id, fingerprint, context_length: context, block_size: block } = model;
  return (
    <>
      <dt>Model</dt>
      <dd>
        {id}, context {number(context)}, {block === 0 ? 'no diffusion mode' : `blocks of ${block}`}
        <span class="mono soft block">{fingerprint}</span>
      </dd>
    </>
  );
}

function SlotCurve({ curve }: { readonly curve: readonly (readonly [number, number])[] }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const drawn = JSON.stringify(curve);
  useEffect(() => {
    let plot: { dispose(): void } | undefined;
    let isGone = false;
    void import('./slot-plot.ts').then(({ slotPlot }) => {
      if (!isGone && box.current !== null) plot = slotPlot(box.current, curve);
    });
    return () => {
      isGone = true;
      plot?.dispose();
    };
  }, [drawn]);
  return (
    <>
      <div ref={box} class="plot" aria-hidden="true" />
      <details>
        <summary>The same as a table</summary>
        <Table label="Slot curve" heads={[numeric('Texts'), numeric('Milliseconds')]}>
          {curve.map(([texts, milliseconds]) => (
            <tr key={texts}>
              <td class="number">{texts}</td>
              <td class="number">{milliseconds.toFixed(2)}</td>
            </tr>
          ))}
        </Table>
      </details>
    </>
  );
}
