import type { Decoder } from '../../decode/decoder.ts';
import { measuredChooser } from '../../decode/planned-engine.ts';
import { soloEngine } from '../../decode/solo-engine.ts';
import type { ModelSession } from '../../device/device.ts';
import { parseFlags, numberFlag, runCommand, stringFlag, wholeNumber } from '../flags.ts';
import type { ParsedFlags } from '../flags.ts';
import { DEMO_MODEL, openCommandModel } from '../open-model.ts';
import { demoTrace } from './acceptance-trace.ts';
import { engineDecoder } from './decode-ours.ts';
import { benchPeers } from './peers.ts';
import type { NamedDecoder, PeersResult } from './peers.ts';
import { reportPeers } from './peers-report.ts';
import { questionPrompts } from './record-acceptance.ts';
import { REPLAY_LABEL, ReplaySession, replayPrompt } from './replay.ts';
import { parseShapeName, shapeFolder } from './shapes.ts';

export interface PeersCommand {
  /** A shape's name, or a model folder with a tokenizer. */
  readonly shape?: string | undefined;
  readonly modelPath: string;
  readonly numThreads: number;
  readonly maxTokens: number;
  readonly timeLimitMs: number;
  readonly within: number;
  readonly onProgress?: (what: string) => void;
}

const AR: NamedDecoder<Decoder> = { name: 'ar', decoder: { type: 'ar' } };
const OURS: readonly NamedDecoder<Decoder>[] = [
  { name: 'auto', decoder: { type: 'tidar', plan: 'auto', draftLength: 16, beta: 1 } },
];
const BATCHES = [1, 8];
const NUM_QUESTIONS = 20;
const SHAPE_PROMPT_TOKENS = 16;
/** Streams of replayed text; each prompt has its own. */
const NUM_SHAPE_PROMPTS = 16;

/** Runs the whole comparison; the heading says what it is of. */
export async function runPeers(
  command: PeersCommand,
): Promise<{ heading: string; result: PeersResult; text: string }> {
  const { shape, numThreads, maxTokens } = command;
  const isShape = shape !== undefined;
  const path = isShape ? shapeFolder(parseShapeName(shape)) : command.modelPath;
  const { folder, session } = await openCommandModel(path, numThreads);
  const replayed: ModelSession = isShape ? new ReplaySession(session, demoTrace()) : session;
  const engine = soloEngine(replayed, await measuredChooser(replayed, 16));
  try {
    const prompts = isShape
      ? Array.from({ length: NUM_SHAPE_PROMPTS }, (_, stream) =>
          replayPrompt(folder.config, stream, SHAPE_PROMPT_TOKENS),
        )
      : questionPrompts(folder, NUM_QUESTIONS);
    const decodeOurs = engineDecoder(engine, maxTokens);
    const common = { ...command, folder, session, prompts, decodeOurs, ar: AR, ours: OURS, batches: BATCHES };
    // Greedy text of random weights runs in circles, which makes looking it up look good.
    const limits = isShape ? { numComparedTexts: 4, lookupLengths: [0] } : {};
    const result = await benchPeers({ ...common, ...limits });
    const what = isShape
      ? `${shape}, random weights, ${REPLAY_LABEL} (${demoTrace().source}), llama.cpp without drafts`
      : folder.name;
    const heading = `${what}: ${prompts.length} prompts, at most ${maxTokens} tokens each, ${numThreads} thread(s)`;
    return { heading, result, text: reportPeers(result) };
  } finally {
    engine.dispose();
    await session.dispose();
  }
}

const HELP = `Our engine against llama.cpp (node-llama-cpp), same weights and prompts, taking turns.

  npm run bench -- peers

  --shape NAME       100m, 400m or vocab131k with random weights instead of a model
  --model PATH       model folder with a tokenizer (the demo model)
  --max-tokens N     length of an answer at most (96)
  --threads N        threads of either engine (1)
  --minutes N        for each batch size at most (2)
  --json             the result as JSON

The last line is: ours/llama.cpp R.RR (batch 1) R.RR (batch 8)  ar/ar R.RR`;

export const PEERS_FLAGS = {
  shape: { type: 'string' },
  model: { type: 'string' },
  'max-tokens': { type: 'string' },
  threads: { type: 'string' },
  minutes: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `bench peers` as the command line calls it. */
export async function peersCommand(flags: ParsedFlags): Promise<void> {
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  const minutes = {
    isWanted: (value: number) => value > 0 && value <= 60,
    expected: 'minutes above 0 up to 60',
  };
  const { heading, result, text } = await runPeers({
    shape: stringFlag(flags, 'shape'),
    modelPath: stringFlag(flags, 'model') ?? DEMO_MODEL,
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
    maxTokens: numberFlag(flags, 'max-tokens', 96, wholeNumber(1)),
    timeLimitMs: 60_000 * numberFlag(flags, 'minutes', 2, minutes),
    within: 0.02,
    onProgress: (what) => process.stderr.write(`${what}\n`),
  });
  const isJson = flags.values['json'] === true;
  process.stdout.write(
    isJson ? `${JSON.stringify({ heading, ...result }, null, 2)}\n` : `${heading}\n${text}\n`,
  );
}

if (import.meta.main)
  await runCommand('bench peers', () => peersCommand(parseFlags(process.argv.slice(2), PEERS_FLAGS)));
