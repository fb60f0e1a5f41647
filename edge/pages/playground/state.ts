import { computed, signal } from '@preact/signals';
import { ApiError } from '../common/http.ts';
import { listModels } from './api.ts';
import type { Model } from './api.ts';
import { forgetKey, readKey, storeKey } from './key-store.ts';
import { Run } from './run.ts';
import { DEFAULT_SETTINGS, requestFor, watched } from './settings.ts';
import type { Message, Settings } from './settings.ts';

/** A question with its answer. */
export interface Turn {
  readonly id: number;
  readonly question: string;
  readonly run: Run;
}

export interface Place {
  readonly run: Run;
  readonly pass: number;
  readonly token: number;
}

export const VIEWS = ['chat', 'race', 'how'] as const;
export type View = (typeof VIEWS)[number];

export const view = signal<View>('chat');
export const key = signal<string>(readKey());
export const models = signal<readonly Model[]>([]);
/** Why the models could not be had. */
export const modelsError = signal<ApiError | undefined>(undefined);
export const settings = signal<Settings>(DEFAULT_SETTINGS);
export const turns = signal<readonly Turn[]>([]);
/** What is in the box for the next question. */
export const draft = signal('');
/** The token that is looked at. */
export const inspected = signal<Place | undefined>(undefined);
/** The pass that is explained. */
export const explained = signal<{ readonly run: Run; readonly pass: number } | undefined>(undefined);
/** What a person is told who does not see it happen. */
export const announced = signal('');

export const model = computed<Model | undefined>(
  () => models.value.find(({ id }) => id === settings.value.model) ?? models.value[0],
);
export const lastRun = computed<Run | undefined>(() => turns.value.at(-1)?.run);
export const isBusy = computed(() => turns.value.some(({ run }) => !run.isOver));

export function change(changes: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changes };
}

/** Takes a key if the server does; says why where it does not. */
export async function takeKey(entered: string, isKept: boolean): Promise<void> {
  const trimmed = entered.trim();
  models.value = await listModels(trimmed);
  storeKey(trimmed, isKept);
  key.value = trimmed;
  modelsError.value = undefined;
}

export function dropKey(): void {
  forgetKey();
  key.value = '';
  models.value = [];
}

export async function loadModels(): Promise<void> {
  if (key.value === '') return;
  try {
    models.value = await listModels(key.value);
    modelsError.value = undefined;
  } catch (error) {
    modelsError.value = error instanceof ApiError ? error : new ApiError(String(error));
  }
}

/** Characters of an answer that are read out when it has come. */
const MAX_ANNOUNCED = 600;
let numTurns = 0;

/** With a decoder that the model has. */
export function possible(wanted: Settings, served: Model | undefined): Settings {
  const { decoders = [wanted.decoder] } = served ?? {};
  return decoders.includes(wanted.decoder) ? wanted : { ...wanted, decoder: decoders[0] ?? 'ar' };
}

/** Asks a question after all turns before it. Throws where the settings make no request. */
export function askQuestion(question: string, changes: Partial<Settings> = {}): void {
  const before = turns.value.flatMap((turn): Message[] => [
    { role: 'user', content: turn.question },
    { role: 'assistant', content: turn.run.text },
  ]);
  const messages = [...before, { role: 'user', content: question } as const];
  const asked = possible({ ...settings.value, ...changes }, model.value);
  begin(question, new Run(watched(requestFor(asked, model.value?.id ?? '', messages))));
}

/** The last question once more, with the settings of now. */
export function retry(): void {
  const last = turns.value.at(-1);
  if (last === undefined) return;
  turns.value = turns.value.slice(0, -1);
  askQuestion(last.question);
}

/** Takes a question back into the box, with all that came after it. */
export function edit(turn: Turn): void {
  for (const { run } of turns.value) run.stop();
  turns.value = turns.value.slice(0, turns.value.indexOf(turn));
  draft.value = turn.question;
}

export function clear(): void {
  for (const { run } of turns.value) run.stop();
  turns.value = [];
  inspected.value = undefined;
}

function begin(question: string, run: Run): void {
  turns.value = [...turns.value, { id: numTurns++, question, run }];
  inspected.value = undefined;
  explained.value = undefined;
  announced.value = 'The answer is coming.';
  void run.start(key.value).then(() => {
    announced.value = endOf(run);
  });
}

function endOf(run: Run): string {
  if (run.state.value === 'failed') return `The answer failed: ${run.error?.message ?? ''}`;
  if (run.state.value === 'stopped') return 'The answer was stopped.';
  const { numTokens, numPasses } = run.numbers();
  const text = run.text.length > MAX_ANNOUNCED ? 'It is long.' : run.text;
  return `The answer: ${text} It took ${numPasses} passes for ${numTokens} tokens.`;
}
