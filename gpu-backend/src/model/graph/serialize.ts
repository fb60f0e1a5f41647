import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from 'onnx-buf';
import { commonFolder, placeIn } from '../weights.ts';
import { OPSETS } from './builder.ts';
import type { Attribute, Dim, ElementType, GraphBuilder, GraphNode, Initializer, Value } from './builder.ts';

/** IR version 11 is the first that knows opset 24's types; onnxruntime 1.29 reads it. */
const IR_VERSION = 11n;

const DATA_TYPES: Readonly<Record<ElementType, DataType>> = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  uint8: DataType.UINT8,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
};

/** Encodes the graph as an ONNX model file. External weights are referred to by their place in `folder`. */
export function serializeModel(
  builder: GraphBuilder,
  graphName: string,
  folder = commonFolder(externalTensors(builder)),
): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'tidar',
    opsetImport: Object.entries(OPSETS).map(([domain, version]) => ({ domain, version: BigInt(version) })),
    graph: {
      name: graphName,
      input: builder.inputs.map((value) => valueInfo(builder, value)),
      output: builder.outputs.map((value) => valueInfo(builder, value)),
      initializer: builder.initializers.map((each) => tensorProto(each, folder)),
      node: builder.nodes.map((node) => nodeProto(builder, node)),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

function externalTensors({ initializers }: GraphBuilder) {
  return initializers.flatMap((each) => (each.kind === 'external' ? [each.tensor] : []));
}

function valueInfo(builder: GraphBuilder, value: Value) {
  const dim = value.shape.map(dimension);
  return {
    name: builder.fileName(value),
    type: {
      value: {
        case: 'tensorType' as const,
        value: { elemType: DATA_TYPES[value.type], shape: { dim } },
      },
    },
  };
}

function dimension(dim: Dim) {
  return typeof dim === 'number'
    ? { value: { case: 'dimValue' as const, value: BigInt(dim) } }
    : { value: { case: 'dimParam' as const, value: dim } };
}

function tensorProto(initializer: Initializer, folder: string) {
  const { value } = initializer;
  const common = {
    name: value.name,
    dataType: DATA_TYPES[value.type],
    dims: value.shape.map((dim) => BigInt(dim)),
  };
  if (initializer.kind === 'inline') {
    const { buffer, byteOffset, byteLength } = initializer.data;
    return { ...common, rawData: new Uint8Array(buffer, byteOffset, byteLength) as Uint8Array<ArrayBuffer> };
  }
  const { path, byteOffset, byteLength } = initializer.tensor;
  return {
    ...common,
    dataLocation: DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: placeIn(folder, path) },
      { key: 'offset', value: String(byteOffset) },
      { key: 'length', value: String(byteLength) },
    ],
  };
}

function nodeProto(builder: GraphBuilder, node: GraphNode) {
  return {
    opType: node.opType,
    domain: node.domain,
    name: node.outputs[0]?.name ?? node.opType,
    input: node.inputs.map((value) => builder.fileName(value)),
    output: node.outputs.map((value) => builder.fileName(value)),
    attribute: Object.entries(node.attributes).map(([name, attribute]) => attributeProto(name, attribute)),
  };
}

function attributeProto(name: string, attribute: Attribute) {
  if (typeof attribute === 'number') return { name, type: AttributeType.INT, i: BigInt(attribute) };
  if (typeof attribute === 'string') {
    return { name, type: AttributeType.STRING, s: new TextEncoder().encode(attribute) };
  }
  if ('float' in attribute) return { name, type: AttributeType.FLOAT, f: attribute.float };
  return { name, type: AttributeType.INTS, ints: attribute.map(BigInt) };
}
