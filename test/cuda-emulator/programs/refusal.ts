/** Loads a graph with a node that CUDA has no kernel for, as a session of the device would, and tells the answer. */
import { ortEnvironment } from '../../../gpu-backend/src/device/c-api/create-session.ts';
import { libraryPlace } from '../../../gpu-backend/src/device/c-api/library.ts';
import { attempt, call, Handle, result } from '../../../gpu-backend/src/device/c-api/status.ts';
import { DEFAULT_CUDA_OPTIONS } from '../../../gpu-backend/src/device/cuda/options.ts';
import { appendCudaProvider, openProvider } from '../../../gpu-backend/src/device/cuda/provider.ts';
import { CUDA_ENTRIES } from '../../../gpu-backend/src/device/cuda/session.ts';
import { GraphBuilder } from '../../../gpu-backend/src/model/graph/builder.ts';
import { serializeModel } from '../../../gpu-backend/src/model/graph/serialize.ts';
import { asked, tell } from './shared.ts';

export interface RefusalTold {
  /** onnxruntime's text; absent: it took the graph. */
  readonly text?: string | undefined;
}

const { opType } = asked<{ opType: string }>();
const b = new GraphBuilder();
const x = b.input('x', 'float32', [4, 4]);
b.output('y', b.node(opType, [x], { type: 'float32', shape: opType === 'Det' ? [] : [4, 4] }));
const graph = serializeModel(b, 'refusal', process.cwd());
openProvider(libraryPlace());
const options = new Handle('SessionOptions', result('CreateSessionOptions'));
for (const [key, value] of Object.entries(CUDA_ENTRIES))
  call('AddSessionConfigEntry', options.pointer, key, value);
appendCudaProvider(options.pointer, DEFAULT_CUDA_OPTIONS);
const place = new BigUint64Array(1);
const text = attempt('CreateSessionFromArray', ortEnvironment(), graph, graph.length, options.pointer, place);
tell({ text } satisfies RefusalTold);
