import { setTimeout } from 'node:timers/promises';
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

  private constructor(document: OpenApi) {
    this.#ajv.addSchema({ ...closed(document), $id: 'api' });
  }

  /** Compiles all schemas at once; that takes seconds, in which connections may end of which nobody hears. */
  static async of(document: OpenApi): Promise<DocumentChecker> {
    const checker = new DocumentChecker(document);
    for (const name of Object.keys(document.components.schemas)) checker.problems(name, null);
    await setTimeout(50);
    return checker;
  }

  problems(name: string, value: unknown): unknown {
    const validate = this.#ajv.getSchema(`api#/components/schemas/${name}`);
    if (validate === undefined) throw new Error(`the document has no schema ${name}`);
    void validate(value);
    return validate.errors ?? [];
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
