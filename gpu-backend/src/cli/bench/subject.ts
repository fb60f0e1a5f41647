import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { loadModelFolder } from '../../model/folder.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { FlagError } from '../flags.ts';
import { DEMO_MODEL } from '../open-model.ts';
import { constantTrace, demoTrace } from './acceptance-trace.ts';
import type { AcceptanceTrace } from './acceptance-trace.ts';
import type { CommonFlags } from './command.ts';
import { questionPrompts } from './record-acceptance.ts';
import { REPLAY_LABEL, ReplaySession, replayPrompt } from './replay.ts';
import { NOTHING_LABEL, NothingAcceptedSession, SingleRowSession, TimedSession } from './sessions.ts';
import { shapeFolder } from './shapes.ts';

/** What is measured: a model, or a shape whose acceptance is replayed. */
export interface Subject {
  readonly folder: ModelFolder;
  /** For a person: which model, and what of it is real. */
  readonly label: string;
  /** What is replayed; absent: drafts are the model's own. */
  readonly trace?: AcceptanceTrace;
}

export type TextKind = 'in-domain' | 'nothing';

/** A session, and the timer at its heart: everything around that is not the device's time. */
export interface Measured {
  readonly session: ModelSession;
  readonly timed: TimedSession;
}

/** About as long as a question. */
const SHAPE_PROMPT_TOKENS = 32;
const NUM_FIXED_PROMPTS = 8;
const FIXED_PROMPT_TOKENS = 12;

export function openSubject({
  modelPath = DEMO_MODEL,
  shape,
  quantize,
}: Partial<Pick<CommonFlags, 'modelPath' | 'shape' | 'quantize'>>): Subject {
  const bits = quantize === undefined ? '' : ` in ${quantize}`;
  if (shape !== undefined) {
    const trace = demoTrace();
    const label = `${shape}${bits}, random weights, ${REPLAY_LABEL} (${trace.source})`;
    return { folder: loadModelFolder(shapeFolder(shape), { quantize }), label, trace };
  }
  if (!existsSync(join(modelPath, 'config.json')))
    throw new FlagError(
      `No model in "${modelPath}" (no config.json there); give a model folder with --model.`,
    );
  const folder = loadModelFolder(modelPath, { quantize });
  if (folder.config.tidar === undefined)
    throw new FlagError(`The model ${folder.name} has no diffusion mode: there is nothing to compare.`);
  return { folder, label: `${folder.name}${bits}` };
}

/** The same law for all plans: two rows at least. */
export async function openLaw(
  subject: Subject,
  flags: CommonFlags,
  kind: TextKind = 'in-domain',
): Promise<Measured> {
  return measured(await openModel(subject.folder, deviceOf(flags)), subject, kind);
}

const deviceOf = ({ numThreads, device, precision, cuda }: CommonFlags) => ({
  numThreads,
  device,
  precision,
  cuda,
});

/** Plain decoding as others run it. */
export async function openSingleRow(subject: Subject, flags: CommonFlags): Promise<Measured> {
  const session = await openModel(subject.folder, { ...deviceOf(flags), allowSingleRow: true });
  const timed = new TimedSession(session);
  return { timed, session: withText(new SingleRowSession(timed), subject, 'in-domain') };
}

export function measured(device: ModelSession, subject: Pick<Subject, 'trace'>, kind: TextKind): Measured {
  const timed = new TimedSession(device);
  return { timed, session: withText(timed, subject, kind) };
}

/** The same device with another text. */
export function withText(
  session: ModelSession,
  { trace }: Pick<Subject, 'trace'>,
  kind: TextKind,
): ModelSession {
  if (trace !== undefined)
    return new ReplaySession(session, kind === 'nothing' ? constantTrace(false, trace.blockSize) : trace);
  return kind === 'nothing' ? new NothingAcceptedSession(session) : session;
}

export function textLabel({ trace }: Subject, kind: TextKind): string {
  if (trace !== undefined) return kind === 'nothing' ? constantTrace(false).source : `as ${trace.source}`;
  return kind === 'nothing' ? NOTHING_LABEL : 'held-out prompts';
}

/** Held-out questions; replayed streams for a shape; fixed token ids for a folder without a tokenizer. */
export function subjectPrompts({ folder, trace }: Subject, numPrompts: number): number[][] {
  const { config, tokenizer } = folder;
  const indexes = Array.from({ length: numPrompts }, (_, index) => index);
  if (trace !== undefined) return indexes.map((stream) => replayPrompt(config, stream, SHAPE_PROMPT_TOKENS));
  if (tokenizer?.hasChatTemplate === true) return questionPrompts(folder, numPrompts);
  const vocabSize = Math.min(config.vocabSize, 32);
  return indexes
    .slice(0, NUM_FIXED_PROMPTS)
    .map((prompt) =>
      Array.from({ length: FIXED_PROMPT_TOKENS }, (_, at) => (prompt * 31 + at * 17) % vocabSize),
    );
}
