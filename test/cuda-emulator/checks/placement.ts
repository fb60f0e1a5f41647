import assert from 'node:assert/strict';
import { withFolder } from '../check.ts';
import type { Extent } from '../check.ts';
import type { Phase } from '../log.ts';
import { allForms, fewForms } from '../models.ts';
import type { RefusalTold } from '../programs/refusal.ts';
import type { StepsAsked, StepsTold } from '../programs/steps.ts';
import { runProgram } from '../run.ts';
import type { Emulation } from '../run.ts';

function runSteps(emulation: Emulation, asked: StepsAsked): { told: StepsTold; phases: readonly Phase[] } {
  const ran = runProgram<StepsTold>(emulation, 'steps', asked);
  assert.deepEqual(
    ran.phases.flatMap(({ errors }) => errors),
    [],
  );
  return ran;
}

/** What a step copied beyond what it is given and what it gives. */
function surplus({ name, toDevice, toHost, withinDevice }: Phase, { expected }: StepsTold): number {
  const { inputs = NaN, outputs = NaN } = expected[name] ?? {};
  assert.equal(
    toDevice >= inputs && toHost >= outputs,
    true,
    `${name} copied ${toDevice} and ${toHost} bytes, less than ${inputs} and ${outputs}`,
  );
  return toDevice - inputs + (toHost - outputs) + withinDevice;
}

const isRun = ({ name }: Phase): boolean => name.startsWith('run ');

export function steps(emulation: Emulation, extent: Extent): string {
  return withFolder((folder) => {
    const models = extent === 'all' ? allForms(folder) : fewForms(folder);
    const asked = { models, graphs: 'off', capacities: [32, 256], numRuns: 2 } as const;
    const { told, phases } = runSteps(emulation, asked);
    const runs = phases.filter(isRun);
    assert.equal(runs.length, Object.keys(told.expected).length);
    for (const phase of runs) {
      const label = models[Number(phase.name.split(' ')[1])]?.label ?? '';
      assert.equal(
        surplus(phase, told),
        0,
        `${label}: ${phase.name} copies more than its inputs and outputs`,
      );
      assert.ok(phase.numLaunches > 20, `${label}: ${phase.name} launches ${phase.numLaunches} kernels`);
    }
    models.forEach(({ candidates, label }, index) => {
      const row = phases.find(({ name }) => name === `row ${index}`);
      // Where candidates leave the graph, a whole row comes when it is asked for.
      assert.equal(row?.toHost, candidates ? told.rowBytes[index] : 0, `${label}: a row of logits`);
    });
    assert.equal(new Set(told.precisions).size, 3);
    return `${models.length} graphs in float32, float16 and bfloat16, ${runs.length} steps`;
  });
}

export function refusal(emulation: Emulation): void {
  const attempt = (opType: string): RefusalTold =>
    runProgram<RefusalTold>(emulation, 'refusal', { opType }).told;
  assert.equal(attempt('Softmax').text, undefined);
  assert.match(attempt('Det').text ?? '', /fallback|CPU EP/i);
}

export function graphs(emulation: Emulation, extent: Extent): string {
  return withFolder((folder) => {
    const models = extent === 'all' ? allForms(folder) : fewForms(folder).slice(0, 2);
    const [capacities, numRuns] = [[32, 128], 7];
    const { told, phases } = runSteps(emulation, { models, graphs: 'on', capacities, numRuns });
    const runs = phases.filter(isRun);
    const captures = runs.filter(({ numCaptures }) => numCaptures > 0);
    // Two shapes of each cache, and of the first again: what they read has moved.
    const numCaptures = models.length * 2 * (capacities.length + 1);
    assert.equal(captures.length, numCaptures, 'each shape of each cache is captured once');
    assert.ok(captures.every((phase) => phase.numCaptures === 1 && phase.numCapturedLaunches > 20));
    const capturing = Number(captures[0]?.name.split(' ').at(-1));
    for (const phase of runs) {
      const run = Number(phase.name.split(' ').at(-1));
      assert.equal(surplus(phase, told), 0, `${phase.name} copies more than its inputs and outputs`);
      if (run < capturing) assert.equal(phase.numGraphLaunches, 0);
      else assert.equal(phase.numGraphLaunches, 1, `${phase.name} launches its graph once`);
      if (run > capturing)
        assert.equal(phase.numLaunches, 0, `${phase.name} launches kernels beside its graph`);
    }
    return `${captures.length} shapes captured, ${runs.filter(({ numGraphLaunches }) => numGraphLaunches > 0).length} graph launches`;
  });
}
