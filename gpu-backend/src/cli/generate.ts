import { randomBytes } from 'node:crypto';
import { generate } from '../decode/generate.ts';
import type { DecodeEvent, GenerateOptions } from '../decode/generate.ts';
import { deviceKey, openPlanner } from '../decode/planner-file.ts';
import type { OpenedPlanner } from '../decode/planner-file.ts';
import { assertSameTokens } from '../decode/same-tokens.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import type { Choice } from '../device/choose.ts';
import type { ModelSession } from '../device/device.ts';
import type { TokenLogprob } from '../engine/sampling/logprobs.ts';
import type { FinishReason } from '../engine/sequence.ts';
import type { ModelFolder } from '../model/folder.ts';
import { tellChoice } from './device-flags.ts';
import { runCommand } from './flags.ts';
import { GENERATE_HELP, parseGenerateFlags } from './generate-flags.ts';
import type { GenerateFlags } from './generate-flags.ts';
import { compileFormat, generateOptions } from './generate-options.ts';
import { openCommandModel } from './open-model.ts';
import { colouredByPass } from './pass-colour.ts';
import { logprobLines, statistics } from './statistics.ts';
import type { Step } from './statistics.ts';

/** A whole answer, as `--json` prints it (with the seed as a decimal string: JSON numbers have 53 bits). */
interface Answer {
  readonly text: string;
  readonly tokenIds: number[];
  readonly finishReason: FinishReason;
  readonly usage: { promptTokens: number; completionTokens: number; numForwardPasses: number };
  readonly steps: Step[];
  readonly seed: string;
  /** One for each token, where --logprobs asks for them. */
  readonly logprobs?: readonly TokenLogprob[];
}

await runCommand('generate', main);

async function main(): Promise<void> {
  const flags = parseGenerateFlags(process.argv.slice(2), () => randomBytes(8).readBigUInt64LE());
  if (flags.help) return void process.stdout.write(`${GENERATE_HELP}\n`);
  let choice: Choice | undefined;
  const onChoice = (found: Choice): void => void (choice = found);
  const wanted = { ...flags, onChoice };
  const { folder, session } = await openCommandModel(flags.modelPath, flags.numThreads, '--model', wanted);
  const draft = await openDraft(flags, folder);
  try {
    const options = generateOptions(flags, folder);
    const planner = await planFor(options, session, folder, flags);
    const answer = await decode({ folder, session, draft, planner }, options, flags);
    if (flags.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
    else process.stderr.write(`${told(answer, options, folder)}\n`);
    if (!flags.json && choice !== undefined) tellChoice(choice);
    const failure = planner?.save();
    for (const note of flags.json ? [] : [...(planner?.notes ?? []), failure]) {
      if (note !== undefined) process.stderr.write(`note: ${note}\n`);
    }
  } finally {
    await draft?.dispose();
    await session.dispose();
  }
}

interface Opened {
  readonly folder: ModelFolder;
  readonly session: ModelSession;
  readonly draft: ModelSession | undefined;
  readonly planner: OpenedPlanner | undefined;
}

async function openDraft(
  { decoder, numThreads, device, precision, cuda }: GenerateFlags,
  folder: ModelFolder,
): Promise<ModelSession | undefined> {
  if (decoder.type !== 'speculative') return undefined;
  const draft = await openCommandModel(decoder.draftModel, numThreads, '--draft-model', {
    device,
    precision,
    cuda,
  });
  assertSameTokens(draft.folder, folder);
  return draft.session;
}

/** Only `auto` needs to know what passes cost. */
async function planFor(
  { decoder }: GenerateOptions,
  session: ModelSession,
  folder: ModelFolder,
  { numThreads, device, decoder: asked }: GenerateFlags,
): Promise<OpenedPlanner | undefined> {
  if (decoder.type !== 'tidar' || decoder.plan !== 'auto' || session.config.tidar === undefined)
    return undefined;
  return openPlanner(session, {
    folder,
    key: deviceKey({ numThreads, device: session.gpu ?? device }),
    maxDraftLength: decoder.draftLength,
    maxSequences: 1,
    measure: asked.type === 'tidar' && asked.measure,
  });
}

/** Generates and, without --json, streams. A stop string ends the answer at the token that completes it. */
async function decode(
  { folder, session, draft, planner }: Opened,
  options: GenerateOptions,
  flags: GenerateFlags,
): Promise<Answer> {
  const { tokenizer } = folder;
  const grammar = await compileFormat(options, folder);
  const engine = soloEngine(session, planner?.chooser, draft);
  const filter = tokenizer && new StopStringFilter(tokenizer.stream(), flags.stop);
  const steps: Step[] = [];
  const logprobs: TokenLogprob[] = [];
  let text = '';
  let finishReason: FinishReason = 'length';
  const show = (piece: string): void => {
    text += piece;
    if (!flags.json && piece !== '') process.stdout.write(colouredByPass(piece, steps.length - 1));
  };
  for await (const event of generate(engine, options, grammar === undefined ? {} : { grammar })) {
    if (event.type === 'end') {
      finishReason = event.finishReason;
      const rest = filter?.flush();
      show(rest?.text ?? '');
      if (rest?.stopped === true) finishReason = 'stop';
      break;
    }
    const kept = filter?.push(event.tokenIds);
    const step = keptPart(event, kept?.keptTokenIds ?? event.tokenIds);
    steps.push(step);
    logprobs.push(...(event.logprobs ?? []).slice(0, step.tokenIds.length));
    show(kept?.text ?? `${step.tokenIds.map((id) => `${id} `).join('')}`);
    if (kept?.stopped !== true) continue;
    finishReason = 'stop';
    break;
  }
  engine.dispose();
  if (!flags.json) process.stdout.write('\n');
  const tokenIds = steps.flatMap((step) => step.tokenIds);
  const usage = {
    promptTokens: options.promptIds.length,
    completionTokens: tokenIds.length,
    numForwardPasses: steps.length,
  };
  return {
    ...{ text: tokenizer === undefined ? '' : text, tokenIds, finishReason, usage, steps },
    seed: String(options.sampling.seed),
    ...(options.logprobs === undefined ? {} : { logprobs }),
  };
}

/** What counts of a pass: tokens up to the one that completed a stop string. */
function keptPart(event: Extract<DecodeEvent, { type: 'step' }>, tokenIds: number[]): Step {
  const { numRows, numDrafted, milliseconds, isPrefill, drafting } = event;
  const isCut = tokenIds.length < event.tokenIds.length;
  const numAccepted = isCut && !isPrefill ? tokenIds.length : event.numAccepted;
  const step = { tokenIds, numRows, numDrafted, numAccepted, milliseconds, isPrefill };
  return drafting === undefined ? step : { ...step, drafting };
}

/** What is told of an answer after it. */
function told(
  { steps, logprobs = [] }: Answer,
  options: GenerateOptions,
  { tokenizer }: ModelFolder,
): string {
  const textOf = (tokenId: number): string =>
    tokenizer === undefined ? String(tokenId) : JSON.stringify(tokenizer.decode([tokenId]));
  return [...logprobLines(logprobs, textOf), statistics(steps, options)].join('\n');
}
