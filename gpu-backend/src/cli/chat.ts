import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { ChatError, listModels, type ServedModel } from './chat/api.ts';
import { Chat } from './chat/chat.ts';
import { runChatCommand } from './chat/commands.ts';
import { CHAT_HELP, type ChatOptions, parseChatOptions } from './chat/options.ts';
import { describeSettings, hasDrafts } from './chat/settings.ts';
import { FlagError, runCommand } from './flags.ts';
import { dimmed } from './pass-colour.ts';

// `npm run chat`: the playground's twin for the terminal.

const CONNECT_LIMIT_MS = 30_000;

const say = (text: string): void => void process.stdout.write(`${dimmed(text)}\n`);

await runCommand('chat', main);

async function main(): Promise<void> {
  const options = parseChatOptions(process.argv.slice(2), process.env);
  if (options === undefined) return void process.stdout.write(`${CHAT_HELP}\n`);
  const model = await chooseModel(options);
  const { endpoint, system, forgets, temperature, seed, draftLength, maxTokens } = options;
  const decoder = options.decoder ?? (hasDrafts(model) ? 'tidar' : 'ar');
  const settings = { decoder, temperature, seed, draftLength, maxTokens };
  const chat = new Chat({ endpoint, model, settings, system, forgets });
  if (decoder === 'tidar') chat.change({ decoder });
  if (options.question === undefined) return converse(chat, endpoint.url);
  process.on('SIGINT', () => void (chat.stop() || process.exit(130)));
  await inWords(() => chat.say(options.question ?? ''));
}

async function chooseModel({ endpoint, model }: ChatOptions): Promise<ServedModel> {
  try {
    const models = await listModels(endpoint, AbortSignal.timeout(CONNECT_LIMIT_MS));
    const found = model === undefined ? models[0] : models.find(({ id }) => id === model);
    if (found !== undefined) return found;
    const ids = models.map(({ id }) => id).join(', ');
    if (model === undefined) throw new ChatError(`${endpoint.url} serves no model that this key may use.`);
    throw new ChatError(`${endpoint.url} has no model "${model}"; it has: ${ids || 'none'}.`);
  } catch (error) {
    throw error instanceof ChatError ? new FlagError(error.message) : error;
  }
}

/** Reads lines until the input ends or one says /quit. */
async function converse(chat: Chat, url: string): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stdout, terminal: true, prompt: '> ' } : {}),
  });
  stopOnInterrupt(chat, lines, isTerminal);
  if (isTerminal) {
    say(`${chat.model.id} at ${url}: ${describeSettings(chat.settings)}. /help lists commands.`);
    lines.prompt();
  }
  for await (const line of lines) {
    if (line.trim() === '/quit') break;
    await inWords(() => answerLine(chat, line.trim()));
    if (isTerminal) lines.prompt();
  }
  lines.close();
}

async function answerLine(chat: Chat, line: string): Promise<void> {
  if (line === '') return;
  if (!line.startsWith('/')) return chat.say(line);
  const told = await runChatCommand(chat, line);
  if (told !== undefined) say(told);
}

/** Ctrl-C stops the answer and not the program; without a terminal to go on at, it ends the program too. */
function stopOnInterrupt(chat: Chat, lines: Interface, isTerminal: boolean): void {
  const stop = (): void => {
    if (chat.stop()) return;
    if (!isTerminal) process.exit(130);
    say('\n/quit or Ctrl-D ends the chat.');
    lines.prompt();
  };
  lines.on('SIGINT', stop);
  process.on('SIGINT', stop);
}

/** What went wrong is told, and the chat goes on; a script sees it in the exit code. */
async function inWords(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
