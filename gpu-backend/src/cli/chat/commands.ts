import { ChatError } from './api.ts';
import type { Chat } from './chat.ts';
import { describeSettings, readDraftLength, readSeed, readTemperature } from './settings.ts';

interface Command {
  /** How it is typed, for /help. */
  readonly usage: string;
  readonly help: string;
  /** What to print. */
  readonly run: (chat: Chat, value: string) => Promise<string | undefined> | string | undefined;
}

const changed = (chat: Chat, change: Parameters<Chat['change']>[0]): string => {
  chat.change(change);
  return describeSettings(chat.settings);
};

const COMMANDS: Readonly<Record<string, Command>> = {
  ar: {
    usage: '/ar',
    help: 'answers come by plain decoding, a token a pass',
    run: (chat) => changed(chat, { decoder: 'ar' }),
  },
  tidar: {
    usage: '/tidar',
    help: 'answers come by TiDAR, several tokens a pass',
    run: (chat) => changed(chat, { decoder: 'tidar' }),
  },
  race: {
    usage: '/race [message]',
    help: 'the message, or the last one, by both with one seed; compares text and speed',
    run: async (chat, value) => {
      await chat.race(value);
      return undefined;
    },
  },
  seed: {
    usage: '/seed <n>|random',
    help: 'the seed of the next answers',
    run: (chat, value) => changed(chat, { seed: readSeed(value) }),
  },
  temperature: {
    usage: '/temperature <t>',
    help: '0 to 2; 0 is greedy',
    run: (chat, value) => changed(chat, { temperature: readTemperature(value) }),
  },
  draft: {
    usage: '/draft <n>|auto',
    help: 'the most drafts of a pass',
    run: (chat, value) => changed(chat, { draftLength: readDraftLength(value) }),
  },
  reset: {
    usage: '/reset',
    help: 'forgets what was said',
    run: (chat) => {
      chat.reset();
      return 'forgotten';
    },
  },
  help: { usage: '/help', help: 'this list', run: (chat) => helpText(chat) },
  quit: {
    usage: '/quit',
    help: 'ends the chat, as Ctrl-D does; Ctrl-C stops an answer',
    run: () => undefined,
  },
};

/** Does what a line that begins with a slash says. */
export async function runChatCommand(chat: Chat, line: string): Promise<string | undefined> {
  const [, name = '', value = ''] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new ChatError(`There is no command /${name}; /help lists them.`);
  return command.run(chat, value.trim());
}

function helpText(chat: Chat): string {
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length));
  const lines = Object.values(COMMANDS).map(({ usage, help }) => `  ${usage.padEnd(width)}  ${help}`);
  return [...lines, `now: ${describeSettings(chat.settings)}`].join('\n');
}
