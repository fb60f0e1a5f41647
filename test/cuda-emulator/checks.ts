import type { Check } from './check.ts';
import { absences, fallback } from './checks/absences.ts';
import { columns, shortage, threads } from './checks/memory.ts';
import { graphs, refusal, steps } from './checks/placement.ts';
import { generation, serving } from './checks/texts.ts';

export const CHECKS: readonly Check[] = [
  {
    title: 'every node of a step is on CUDA, and a step copies its inputs and outputs and nothing else',
    run: steps,
  },
  { title: 'a node without a CUDA kernel is refused, not run on the CPU', run: refusal },
  {
    title: 'each shape that comes again is captured once and replayed, over the same inputs and outputs',
    run: graphs,
  },
  { title: 'columns move within the GPU, as they move on the host, and new caches are zero', run: columns },
  {
    title: 'a cache without room ends in a sentence, takes nothing, and leaves the device as it was',
    run: shortage,
  },
  {
    title: 'a thread that is started again runs on, whether the one before it ended or was ended',
    run: threads,
  },
  { title: 'a text is decoded from prompt to end, while its cache grows', run: generation },
  { title: 'the backend serves a text, and tells the device and why', run: serving },
  { title: 'what is missing is told in one sentence with the command that installs it', run: absences },
  { title: 'auto takes the CPU where CUDA cannot be used, and tells why', run: fallback },
];
