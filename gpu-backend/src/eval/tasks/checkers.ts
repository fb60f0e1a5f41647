import { runProgram } from './run-program.ts';
import { isCompleteDeclaration } from './typescript-parser.ts';

/** A piece of code to be completed, in HumanEval's form. */
export interface CodeProblem {
  readonly prompt: string;
  /** Runs the code and fails if it is wrong; for `python` it defines check(candidate). */
  readonly test?: string | undefined;
  /** The function that `check` is called with. */
  readonly entryPoint?: string | undefined;
}

interface Checker {
  /** Whether it runs what the model wrote. */
  readonly runsCode: boolean;
  readonly isRight: (problem: CodeProblem, completion: string) => boolean | Promise<boolean>;
}

export const CHECKERS = {
  /** Prompt and completion together are declarations without a syntax error; nothing is run. */
  typescript: {
    runsCode: false,
    // A closing bracket alone completes many prompts and says nothing.
    isRight: ({ prompt }, completion) => /\w/.test(completion) && isCompleteDeclaration(prompt + completion),
  },
  python: {
    runsCode: true,
    isRight: (problem, completion) => {
      const call = problem.entryPoint === undefined ? '' : `\ncheck(${problem.entryPoint})\n`;
      return runProgram('python', `${programOf(problem, completion)}\n${problem.test ?? ''}\n${call}`);
    },
  },
  javascript: {
    runsCode: true,
    isRight: (problem, completion) =>
      runProgram('javascript', `${programOf(problem, completion)}\n${problem.test ?? ''}\n`),
  },
} as const satisfies Record<string, Checker>;

export type CheckerName = keyof typeof CHECKERS;
export const CHECKER_NAMES = Object.keys(CHECKERS) as [CheckerName, ...CheckerName[]];

/** A chat's answer may be a whole program in a fenced block; a plain one goes on where the prompt stops. */
function programOf({ prompt, entryPoint }: CodeProblem, completion: string): string {
  const block = /```[\w+-]*\n([\s\S]*?)(?:```|$)/.exec(completion)?.[1];
  if (block === undefined) return prompt + completion;
  const isWhole = entryPoint !== undefined && new RegExp(`\\b${entryPoint}\\b`).test(block);
  return (isWhole ? preamble(prompt) : prompt) + block;
}

/** Imports before the prompt's function, which a whole program may leave out. */
function preamble(prompt: string): string {
  const lines = prompt.split('\n').filter((line) => /^(?:import|from)\s/.test(line));
  return lines.map((line) => `${line}\n`).join('');
}
