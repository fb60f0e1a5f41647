import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { GpuInfo, ModelSession } from '../device/device.ts';
import type { DeviceName } from '../device/names.ts';
import { DEVICES, RUNTIME_VERSION } from '../device/open.ts';
import type { PlanChooser } from '../engine/plan-chooser.ts';
import { AcceptanceTable, acceptanceFileSchema } from '../engine/planner/acceptance-table.ts';
import { LatencyModel, latencyFileSchema } from '../engine/planner/latency.ts';
import type { ModelFolder } from '../model/folder.ts';
import { GRAPH_VERSION } from '../model/graph/version.ts';
import { MEASURED_SEQUENCES, measureDevice, plannedChooser } from './planned-engine.ts';

/** What the planner knows, kept in the model's folder. */
export const PLANNER_FILE = '.planner.json';
/** Weights in fewer bits accept other drafts, and cost otherwise by rows. */
const fileNameOf = ({ quantization }: OpenPlannerOptions['folder']): string =>
  quantization === undefined ? PLANNER_FILE : `.planner.${quantization}.json`;
/** One folder may be served by many machines; the ones that came last are kept. */
const MAX_TABLES = 16;

const tableSchema = z.object({
  key: z.string(),
  maxSequences: z.int().min(1),
  latency: latencyFileSchema,
});
const fileSchema = z.object({
  version: z.literal(1),
  /** The content that it was learned of: other weights accept other drafts. */
  model: z.string(),
  tables: z.array(tableSchema).max(MAX_TABLES),
  acceptance: acceptanceFileSchema,
});
type PlannerFile = z.infer<typeof fileSchema>;

export interface OpenPlannerOptions {
  readonly folder: Pick<ModelFolder, 'path' | 'contentHash' | 'quantization'>;
  /** What passes were timed on; see `deviceKey`. */
  readonly key: string;
  /** The most that any text drafts in a block. */
  readonly maxDraftLength: number;
  /** Texts at once that passes are measured with; absent: as for a server. */
  readonly maxSequences?: number;
  /** Measure even where a table is known. */
  readonly measure?: boolean;
}

export interface OpenedPlanner {
  readonly chooser: PlanChooser;
  /** For the operator. */
  readonly notes: readonly string[];
  /** Keeps what was learned; call it when the engine is closed. Where it cannot be kept, a note says so, once. */
  readonly save: () => string | undefined;
}

/** Names all that latency depends on beside the model. */
export function deviceKey({
  device,
  numThreads,
}: {
  /** A session's GPU, or how its device was named. */
  device?: DeviceName | GpuInfo | undefined;
  numThreads: number;
}): string {
  const gpu =
    typeof device === 'object' ? `${device.device} ${device.precision} ${device.hardware}` : undefined;
  const cpu = device === 'node-binding' ? device : DEVICES[0];
  const parts = [gpu ?? cpu, `onnxruntime ${RUNTIME_VERSION}`, `graph ${GRAPH_VERSION}`];
  return [...parts, `${numThreads} thread(s)`, cpus()[0]?.model.trim() || 'unknown CPU'].join(', ');
}

/** A planner with what is kept in the model's folder. It measures the device only where that is not known there. */
export async function openPlanner(
  session: ModelSession,
  options: OpenPlannerOptions,
): Promise<OpenedPlanner> {
  const { folder, key, maxDraftLength, maxSequences = MEASURED_SEQUENCES, measure = false } = options;
  const notes: string[] = [];
  const known = readPlannerFile(folder, notes);
  const acceptance = new AcceptanceTable(known?.acceptance);
  // A table for more texts does for fewer.
  const table = known?.tables.find((each) => each.key === key && each.maxSequences >= maxSequences);
  const mustMeasure = measure || table === undefined;
  const latency = mustMeasure
    ? new LatencyModel(await measureDevice(session, maxSequences))
    : LatencyModel.parse(table.latency);
  const numMeasured = mustMeasure ? maxSequences : table.maxSequences;
  let isTold = false;
  const save = (): string | undefined => {
    const own = { key, maxSequences: numMeasured, latency: latency.toJSON() };
    const failure = tryToSave(folder, own, acceptance);
    if (failure === undefined || isTold) return undefined;
    isTold = true;
    return failure;
  };
  const failure = mustMeasure ? save() : undefined;
  if (mustMeasure) notes.push(`measured what forward passes cost here (${key})`);
  if (failure !== undefined) notes.push(failure);
  return { chooser: plannedChooser(session, { latency, acceptance }, maxDraftLength), notes, save };
}

/** What is kept for this model; undefined, with a note where that may surprise, if nothing is. */
function readPlannerFile(folder: OpenPlannerOptions['folder'], notes: string[]): PlannerFile | undefined {
  const fileName = fileNameOf(folder);
  let text: string;
  try {
    text = readFileSync(join(folder.path, fileName), 'utf8');
  } catch (error) {
    if (!isMissing(error)) notes.push(`${fileName} cannot be read (${codeOf(error)}) and is ignored`);
    return undefined;
  }
  const parsed = fileSchema.safeParse(parseOrUndefined(text));
  if (!parsed.success) notes.push(`${fileName} is broken, or of another version; it is ignored and replaced`);
  else if (parsed.data.model === folder.contentHash) return parsed.data;
  else notes.push(`${fileName} is of another model; it is ignored and replaced`);
  return undefined;
}

/** Keeps the other machines' tables, which may have come since. */
function tryToSave(
  folder: OpenPlannerOptions['folder'],
  own: z.infer<typeof tableSchema>,
  acceptance: AcceptanceTable,
): string | undefined {
  const others = readPlannerFile(folder, [])?.tables.filter(({ key }) => key !== own.key) ?? [];
  const file: PlannerFile = {
    version: 1,
    model: folder.contentHash,
    tables: [own, ...others].slice(0, MAX_TABLES),
    acceptance: acceptance.toJSON(),
  };
  const fileName = fileNameOf(folder);
  const path = join(folder.path, fileName);
  const temporary = `${path}.${randomUUID()}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(file)}\n`);
    renameSync(temporary, path);
    return undefined;
  } catch (error) {
    rmSync(temporary, { force: true });
    return `${fileName} cannot be written (${codeOf(error)}): what the planner learns is kept in memory only`;
  }
}

function parseOrUndefined(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
}
