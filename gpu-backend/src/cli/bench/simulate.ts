import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { soloEngine } from '../../decode/solo-engine.ts';
import { sequenceOptions } from '../../decode/generate.ts';
import type { ModelSession } from '../../device/device.ts';
import { openModel } from '../../device/open.ts';
import { SequenceRecorder } from '../../engine/planner/recording.ts';
import type { Recording, RecordedSequence } from '../../engine/planner/recording.ts';
import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import { simulateCommand } from '../bench-simulate.ts';
import type { Prompts } from './rounds.ts';
import { openSubject, subjectPrompts } from './subject.ts';

const RECORDING = fileURLToPath(new URL('../../../../.runs/demo-recording.json', import.meta.url));
const NUM_PROMPTS = 20;
const MAX_TOKENS = 128;

/** `bench simulate`: where no recorded acceptance is named, the demo model's is recorded first. */
export async function simulateWithRecording(args: readonly string[]): Promise<void> {
  const names = args.some((arg) => /^(--acceptance(=|$)|--help$|-h$)/.test(arg));
  if (names) return simulateCommand(args);
  const { folder } = openSubject({ modelPath: undefined, shape: undefined });
  const session = await openModel(folder, { numThreads: 1 });
  try {
    const prompts = subjectPrompts({ folder, label: folder.name }, NUM_PROMPTS);
    const sequences = await recordTexts(session, prompts, MAX_TOKENS);
    const blockSize = folder.config.tidar?.blockSize ?? 2;
    const model = `the ${folder.name} model on held-out questions`;
    const recording: Recording = { version: 1, model, blockSize, sequences };
    mkdirSync(join(RECORDING, '..'), { recursive: true });
    writeFileSync(RECORDING, JSON.stringify(recording));
  } finally {
    await session.dispose();
  }
  simulateCommand([...args, '--acceptance', RECORDING]);
}

/** Greedy texts with one draft row and one block in every pass, so that every place gets its block. */
export async function recordTexts(
  session: ModelSession,
  prompts: Prompts,
  maxTokens: number,
): Promise<RecordedSequence[]> {
  const engine = soloEngine(session);
  const numMaskTokens = session.config.tidar?.blockSize ?? 2;
  const plan = { numDraftRows: 1, outcomes: [{ accepted: 1, numMaskTokens }] };
  const decoder = { type: 'ar' } as const;
  const sequences: RecordedSequence[] = [];
  for (const promptIds of prompts) {
    const options = { promptIds, maxTokens, decoder, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
    const sequence = sequenceOptions(options, engine.config);
    const active = engine.open(sequence, { rule: { type: 'fixed', name: 'record', next: () => plan } });
    if (active === undefined) throw new RangeError('the engine has no memory left for this text');
    const recorder = new SequenceRecorder();
    while (active.sequence.finishReason === undefined) {
      const [turn] = await engine.step(new Set([active]));
      if (turn?.result instanceof Error) throw turn.result;
      recorder.add(active.sequence.drafts);
    }
    const completionIds = active.sequence.tokenIds.slice(active.sequence.numPromptTokens);
    sequences.push(recorder.finish(completionIds, sequence.stopTokenIds));
    engine.close(active);
  }
  engine.dispose();
  return sequences;
}
