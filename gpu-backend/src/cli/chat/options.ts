import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { callersFolder, type Environment, present } from '../environment.ts';
import { FlagError, numberFlag, oneOf, parseFlags, stringFlag, wholeNumber } from '../flags.ts';
import { REPOSITORY } from '../start/repository.ts';
import { readStarted } from '../start/state.ts';
import type { Endpoint } from './api.ts';
import { type ChatDecoder, readDraftLength, readSeed, readTemperature } from './settings.ts';

export interface ChatOptions {
  readonly endpoint: Endpoint;
  /** Absent: the first that the endpoint serves. */
  readonly model: string | undefined;
  readonly decoder: ChatDecoder | undefined;
  readonly temperature: number;
  readonly seed: string | undefined;
  readonly draftLength: number | undefined;
  readonly maxTokens: number | undefined;
  readonly system: string | undefined;
  /** Each message is asked without those before it. */
  readonly forgets: boolean;
  /** Asked at once, and then no other; absent: messages are read from the terminal or the pipe. */
  readonly question: string | undefined;
}

export const CHAT_HELP = `Chats in the terminal with a model, by the public API of any deployment.

  npm run chat -- [flags] [message]

  --url <address>         the endpoint, with or without /v1 (TIDAR_URL); by default the one that \`npm start\` runs
  --api-key-file <file>   a file with the API key; otherwise TIDAR_API_KEY, otherwise the demo key of \`npm start\`
  --model <id>            by default the first model that the endpoint serves
  --decoder <name>        ar or tidar; by default tidar where the model has it
  --temperature <t>       0 to 2; 0 by default, which is greedy
  --seed <n>              64 bits; by default each answer draws its own
  --draft <n>             the most drafts of a pass, or auto
  --max-tokens <n>        of each answer
  --system <text>         a system message
  --forget                asks each message without those before it
  --help                  this text

With a message it answers that and ends. Without a terminal each line of the input is a message. Colours tell the
forward passes apart; NO_COLOR turns them off. In the chat, /help lists the commands.`;

const OPTIONS = {
  url: { type: 'string' },
  'api-key-file': { type: 'string' },
  model: { type: 'string' },
  decoder: { type: 'string' },
  temperature: { type: 'string' },
  seed: { type: 'string' },
  draft: { type: 'string' },
  'max-tokens': { type: 'string' },
  system: { type: 'string' },
  forget: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Undefined where only help was asked for. */
export function parseChatOptions(args: readonly string[], env: Environment): ChatOptions | undefined {
  const flags = parseFlags(args, OPTIONS);
  if (flags.values['help'] === true) return undefined;
  const given = (name: keyof typeof OPTIONS): string | undefined => stringFlag(flags, name);
  const keyFile = given('api-key-file');
  return {
    endpoint: endpointOf(
      given('url') ?? present(env['TIDAR_URL']),
      keyFile === undefined
        ? present(env['TIDAR_API_KEY'])
        : readKeyFile(resolve(callersFolder(env, 'chat'), keyFile)),
    ),
    model: given('model'),
    decoder: oneOf(flags, 'decoder', ['ar', 'tidar']),
    temperature: readTemperature(given('temperature') ?? '0'),
    seed: readSeed(given('seed') ?? 'random'),
    draftLength: readDraftLength(given('draft') ?? 'auto'),
    maxTokens: numberFlag(flags, 'max-tokens', undefined, wholeNumber(1)),
    system: given('system'),
    forgets: flags.values['forget'] === true,
    question: flags.positionals.length === 0 ? undefined : flags.positionals.join(' '),
  };
}

/** The demo key goes to nobody but the system that made it. */
function endpointOf(url: string | undefined, key: string | undefined): Endpoint {
  const started = readStarted(resolve(REPOSITORY, '.runs/start'));
  const address = addressOf(url ?? started.address ?? 'http://127.0.0.1:8787');
  const demoKey = url === undefined || address === started.address ? started.demoKey : undefined;
  const usedKey = key ?? demoKey;
  if (usedKey !== undefined) return { url: address, key: usedKey };
  throw new FlagError(
    url === undefined
      ? 'There is no key: run `npm start` in another terminal first, or give --url with TIDAR_API_KEY or --api-key-file.'
      : `${address} needs an API key: set TIDAR_API_KEY, or give --api-key-file.`,
  );
}

function addressOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new FlagError(`--url must be an address like http://127.0.0.1:8787; got "${text}".`);
  return text.replace(/\/+$/, '').replace(/\/v1$/, '');
}

function readKeyFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new FlagError(`--api-key-file cannot be read: ${(error as Error).message}.`);
  }
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new FlagError(`--api-key-file must hold one key and nothing else; ${path} does not.`);
}
