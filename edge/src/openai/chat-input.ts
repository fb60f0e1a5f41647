import type { ChatInput, ChatMessage, Tool, ToolChoice } from '@tidar/shared/chat.ts';
import { TidarError } from '@tidar/shared/errors.ts';

/** A function as routes take it; null stands for what is not given. */
interface AskedTool {
  name: string;
  description?: string | null | undefined;
  parameters?: Record<string, unknown> | null | undefined;
  strict?: boolean | null | undefined;
}

interface AskedChat {
  tools: readonly AskedTool[];
  choice: ToolChoice | null | undefined;
  parallel: boolean | null | undefined;
  variables: Record<string, unknown> | null | undefined;
  messages: ChatMessage[];
}

/** A chat for the backend, with the tools that its model may call. */
export function chatInputOf({ tools, choice, parallel, variables, messages }: AskedChat): ChatInput {
  const known = tools.map(toTool);
  assertChoice(choice, known);
  return {
    type: 'chat',
    // Before the messages, as in the prompt: requests with the same tools begin alike.
    ...(known.length === 0 ? {} : { tools: known }),
    ...(choice == null ? {} : { tool_choice: typeof choice === 'string' ? choice : { name: choice.name } }),
    ...(parallel == null ? {} : { parallel_tool_calls: parallel }),
    ...(variables == null ? {} : { template_variables: variables }),
    messages,
  };
}

function assertChoice(choice: AskedChat['choice'], tools: readonly Tool[]): void {
  const named = typeof choice === 'object' && choice !== null ? choice.name : undefined;
  if (named !== undefined && !tools.some(({ name }) => name === named)) {
    const message = `'tool_choice' names the function '${named}', which 'tools' does not have.`;
    throw new TidarError('invalid_request', message, { param: 'tool_choice' });
  }
  if (choice !== 'required' || tools.length > 0) return;
  const message = "'tool_choice' asks for a call, but there are no 'tools'.";
  throw new TidarError('invalid_request', message, { param: 'tool_choice' });
}

function toTool({ name, description, parameters, strict }: AskedTool): Tool {
  return {
    name,
    ...(description == null ? {} : { description }),
    ...(parameters == null ? {} : { parameters }),
    strict: strict ?? false,
  };
}
