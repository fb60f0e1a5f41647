import { randomBytes } from 'node:crypto';
import { styleText } from 'node:util';
import { TidarError } from '@tidar/shared/errors.ts';
import type { Decoder, DecodeEvent, GenerateOptions } from '../decode/generate.ts';
import { generate } from '../decode/generate.ts';
import { defaultDraftLength } from '../decode/tidar.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import type { ModelSession } from '../device/device.ts';
import type { FinishReason } from '../engine/sequence.ts';
import type { ModelFolder } from '../model/folder.ts';
import { runCommand } from './flags.ts';
import { GENERATE_HELP, parseGenerateFlags } from './generate-flags.ts';
import type { GenerateFlags } from './generate-flags.ts';
import { openCommandModel } from './open-model.ts';
import { statistics } from './statistics.ts';

type Step = Extract<DecodeEvent, { type: 'step' }>;

/** A whole answer, as `--json` prints it (with the seed as a decimal string: JSON numbers have 53 bits). */
interface Answer {
  readonly text: string;
  readonly tokenIds: number[];
  readonly finishReason: FinishReason;
  readonly usage: { promptTokens: number; completionTokens: number; numForwardPasses: number };
  readonly steps: Omit<Step, 'type'>[];
  readonly seed: string;
}

const DEFAULT_MAX_TOKENS = 256;
const COLOURS = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'red'] as const;

await runCommand('generate', main);

async function main(): Promise<void> {
  const flags = parseGenerateFlags(process.argv.slice(2), () => randomBytes(8).readBigUInt64LE());
  if (flags.help) return void process.stdout.write(`${GENERATE_HELP}\n`);
  const { folder, session } = await openCommandModel(flags.modelPath, flags.numThreads);
  try {
    const options = generateOptions(flags, folder);
    const answer = await decode(session, folder, options, flags);
    if (flags.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
    else process.stderr.write(`${statistics(answer.steps, options)}\n`);
  } finally {
    await session.dispose();
  }
}

function generateOptions(flags: GenerateFlags, { config, ...folder }: ModelFolder): GenerateOptions {
  const promptIds = encodePrompt(flags, { config, ...folder });
  const room = Math.max(1, config.maxPositions - promptIds.length);
  const useTidar = flags.decode === 'tidar' || (flags.decode === undefined && config.tidar !== undefined);
  const draftLength = flags.draftLength ?? defaultDraftLength(config.tidar?.blockSize ?? 1);
  const decoder: Decoder = useTidar ? { type: 'tidar', draftLength, beta: flags.beta } : { type: 'ar' };
  const maxTokens = flags.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, room);
  return { promptIds, maxTokens, decoder, sampling: flags.sampling, stopTokenIds: [] };
}

function encodePrompt({ prompt, stop }: GenerateFlags, { tokenizer, name }: ModelFolder): number[] {
  const refuse = (sentence: string): never => {
    throw new TidarError('invalid_request', sentence);
  };
  if (tokenizer === undefined && stop.length > 0)
    refuse(`${name} has no tokenizer, so --stop can't be used.`);
  if (prompt.type === 'tokens') return prompt.tokenIds;
  if (tokenizer === undefined) return refuse(`${name} has no tokenizer; give the prompt by --prompt-ids.`);
  // Without a chat form text is taken as it is, as the server takes it: who wants a beginning token writes it.
  if (!tokenizer.hasChatTemplate) return tokenizer.encode(prompt.text);
  return tokenizer.encodeChat([{ role: 'user', content: prompt.text }]);
}

/** Generates and, without --json, streams. A stop string ends the answer at the token that completes it. */
async function decode(
  session: ModelSession,
  { tokenizer }: ModelFolder,
  options: GenerateOptions,
  flags: GenerateFlags,
): Promise<Answer> {
  const filter = tokenizer && new StopStringFilter(tokenizer.stream(), flags.stop);
  const steps: Omit<Step, 'type'>[] = [];
  let text = '';
  let finishReason: FinishReason = 'length';
  const show = (piece: string): void => {
    text += piece;
    if (!flags.json && piece !== '') process.stdout.write(coloured(piece, steps.length - 1));
  };
  for await (const event of generate(session, options)) {
    if (event.type === 'end') {
      finishReason = event.finishReason;
      const rest = filter?.flush();
      show(rest?.text ?? '');
      if (rest?.stopped === true) finishReason = 'stop';
      break;
    }
    const { type: _type, ...step } = event;
    const kept = filter?.push(step.tokenIds);
    const tokenIds = kept?.keptTokenIds ?? step.tokenIds;
    const numAccepted = step.isPrefill ? 0 : tokenIds.length;
    steps.push({ ...step, tokenIds, numAccepted });
    show(kept?.text ?? `${tokenIds.join(' ')} `);
    if (kept?.stopped !== true) continue;
    finishReason = 'stop';
    break;
  }
  if (!flags.json) process.stdout.write('\n');
  const tokenIds = steps.flatMap((step) => step.tokenIds);
  const usage = {
    promptTokens: options.promptIds.length,
    completionTokens: tokenIds.length,
    numForwardPasses: steps.length,
  };
  const answerText = tokenizer === undefined ? '' : text;
  return { text: answerText, tokenIds, finishReason, usage, steps, seed: String(options.sampling.seed) };
}

/** One colour for each forward pass; `styleText` leaves the text as it is off a terminal or with NO_COLOR set. */
function coloured(text: string, pass: number): string {
  const colour = COLOURS[pass % COLOURS.length] ?? 'cyan';
  return styleText(colour, text, { stream: process.stdout });
}
