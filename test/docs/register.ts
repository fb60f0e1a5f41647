/** Which test runs a command that the documents name: a title in a file. */
export interface Register {
  /** The beginning of the command. */
  readonly command: string;
  readonly test: readonly [path: string, title: string];
}

const bench = (name: string, title: string, path = 'gpu-backend/src/cli/bench.test.ts'): Register => ({
  command: `npm run bench -- ${name}`,
  test: [path, title],
});
const EACH_BENCH = 'ends %j with the line that scripts read, and draws';
const LOAD = 'test/load/load.test.ts';

/**
 * The first entry that a command begins with counts. What no test here can run is not in this list: the documents say
 * beside it what it needs.
 */
export const REGISTER: readonly Register[] = [
  ...['decode', 'batch', 'slots'].map((name) => bench(name, EACH_BENCH)),
  bench('simulate', 'simulates on the demo model’s acceptance where no recording is named, and says so'),
  bench(
    'peers',
    'finds the same text in llama.cpp, and ends with the line of ratios',
    'gpu-backend/src/cli/bench/peers.test.ts',
  ),
  bench('edge', 'ask edge and backend in turns, and the edge’s part is the difference of each pair', LOAD),
  bench(
    'load',
    'lose no token and no bill, each with slices of its own, and what is refused is counted',
    LOAD,
  ),
  {
    command: 'npm run bench',
    test: ['gpu-backend/src/cli/bench.test.ts', 'tells what it can do, and what each subcommand can'],
  },
  {
    command: 'npm run soak',
    test: [LOAD, 'soak the system with every kind of call, and find books and engine in order'],
  },
  {
    command: 'npm start',
    test: ['test/e2e/system.test.ts', 'prints one command, whose answer streams and is right'],
  },
  { command: 'npm test', test: ['scripts/test-counts.test.ts', 'are those of the report'] },
  { command: 'npx vitest run', test: ['scripts/test-counts.test.ts', 'are those of the report'] },
  {
    command: 'npm run serve',
    test: ['test/deploy/serve.test.ts', 'lets a stream come to its end after SIGTERM and ends with 0'],
  },
  {
    command: 'npm run backend',
    test: ['test/e2e/backend.test.ts', 'is well, and serves its model'],
  },
  {
    command: 'npm run generate',
    test: [
      'gpu-backend/src/cli/generate.test.ts',
      'gives the same tokens with either decoder, repeated by the seed that it printed',
    ],
  },
  {
    command: 'npm run chat',
    test: [
      'test/e2e/chat-command.test.ts',
      "prints the API's own answer and what its passes took, without colours into a pipe",
    ],
  },
  {
    command: 'npm run inspect',
    test: [
      'gpu-backend/src/cli/inspect.test.ts',
      'prints lines, or an object by --json, and ends with 1 where a start would fail',
    ],
  },
  {
    command: 'npm run admin -- export',
    test: [
      'test/edge/admin-cli.test.ts',
      'read into an empty edge gives the same keys, bills, receipts, log and tokens',
    ],
  },
  {
    command: 'npm run admin',
    test: ['test/edge/admin-cli.test.ts', 'makes, shows, changes, lists, rotates and revokes a key'],
  },
  {
    command: 'npm run verify-receipt',
    test: [
      'test/edge/admin-cli.test.ts',
      'proves a receipt and its tokens, and says so when any of it was changed',
    ],
  },
  {
    command: 'npm run screenshots',
    test: [
      'test/pages/console/whole.ts',
      'is pictured as npm run screenshots does it, without a complaint and in few bytes',
    ],
  },
  {
    command: 'npm run api-reference',
    test: ['test/edge/openapi.test.ts', 'is what the schemas say now: npm run api-reference writes it'],
  },
  {
    command: 'npm run chaos',
    test: ['test/chaos/chaos.test.ts', 'keeps every law in ${NUM_ROUNDS} rounds'],
  },
  {
    command: 'npm run eval',
    test: [
      'gpu-backend/src/eval/commands.test.ts',
      'prints the table of all rows, writes JSON and pictures, and ends with the line for scripts',
    ],
  },
  {
    command: 'npm run train',
    test: [
      'gpu-backend/src/train/main.test.ts',
      'extends a constant run, and ends it by a decay, to the bits of a run that was meant so from the start',
    ],
  },
  {
    command: 'npm run check:cuda',
    test: [
      'test/cuda-emulator/checks.ts',
      'every node of a step is on CUDA, and a step copies its inputs and outputs and nothing else',
    ],
  },
  {
    command: 'npm run fuzz',
    test: ['test/fuzz/fuzz.test.ts', 'answers ${NUM_CASES} cases clearly, lives on and leaves nothing open'],
  },
  {
    command: 'npm run doctor',
    test: [
      'gpu-backend/src/cli/doctor.test.ts',
      'finds the CPU right: golden numbers, and texts that are plain decoding’s, greedy and sampled',
    ],
  },
  {
    command: 'npm run data',
    test: ['gpu-backend/src/data/make.test.ts', 'writes the same bytes each time'],
  },
  {
    command: 'node gpu-backend/src/cli/random-model.ts',
    test: [
      'gpu-backend/src/cli/random-model/memory.test.ts',
      'holds weights in %s once, as the stated need says (quantized: %s)',
    ],
  },
  ...['export TIDAR_URL', 'curl -fsS'].map((command): Register => ({
    command,
    test: ['test/clients/clients.test.ts', 'has examples that run as they stand'],
  })),
  // Before its tests `npm test` itself runs the checks, of which one holds the format.
  ...['npm run check', 'npm run format'].map((command): Register => ({
    command,
    test: ['scripts/test.ts', 'One check is one npm script'],
  })),
  {
    command: 'npx wrangler deploy',
    test: ['test/deploy/wrangler.test.ts', 'uploads a module that exports every class that has a binding'],
  },
  {
    command: 'node edge/deploy/bundle.ts',
    test: ['test/deploy/serve.test.ts', 'keeps no secret in a file or an argument'],
  },
];
