import { Ajv2020 } from 'ajv/dist/2020.js';

export interface OpenApiOperation {
  operationId: string;
  security: Record<string, unknown>[];
  'x-scope'?: string;
  parameters?: { name: string; in: string; schema: { type?: string; enum?: unknown[] } }[];
  requestBody?: { content: Record<string, { schema: { $ref: string } }> };
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}

export interface OpenApi {
  openapi: string;
  paths: Record<string, Record<string, OpenApiOperation>>;
  components: { schemas: Record<string, { properties?: Record<string, unknown> }> };
}

/** Holds values against the schemas of a document; what an answer has and its schema does not name is a problem too. */
export class DocumentChecker {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(document: OpenApi) {
    this.#ajv.addSchema({ ...closed(document), $id: 'api' });
  }

  problems(name: string, value: unknown): unknown {
    return this.problemsWith({ $ref: `#/components/schemas/${name}` }, value);
  }

  /** Of a schema that stands anywhere in the document. */
  problemsWith(schema: object, value: unknown): unknown {
    const absolute = JSON.stringify(schema).replaceAll('"#/', '"api#/');
    this.#ajv.validate(JSON.parse(absolute) as object, value);
    return this.#ajv.errors ?? [];
  }
}

/** The same schemas where no object has more than they name, unless they say so. */
function closed(value: object): object {
  return JSON.parse(JSON.stringify(value), (_, node: unknown) => {
    const isObject = typeof node === 'object' && node !== null && 'properties' in node && 'type' in node;
    if (!isObject || node.type !== 'object' || 'additionalProperties' in node) return node;
    return { ...node, additionalProperties: false };
  }) as object;
}
