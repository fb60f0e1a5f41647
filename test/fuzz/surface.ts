import { Ajv2020 } from 'ajv/dist/2020.js';
import { isRecord } from './judge.ts';

export type Schema = Readonly<Record<string, unknown>>;
export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

export interface QueryParameter {
  name: string;
  schema: Schema;
  isRequired: boolean;
}

/** One method of one path, as the OpenAPI document has it. */
export interface Operation {
  method: Method;
  /** With its `{id}`. */
  path: string;
  /** Of its JSON body; undefined where it takes none. */
  body: Schema | undefined;
  queries: QueryParameter[];
  /** Whose word it takes. */
  needs: 'key' | 'admin' | 'nothing';
}

const METHODS = ['get', 'post', 'patch', 'put', 'delete'] as const;

/** The routes of the edge, read from its own OpenAPI document: what is added there is attacked here. */
export class Surface {
  readonly operations: readonly Operation[];
  readonly #document: Schema;
  readonly #ajv: Ajv2020;
  /** By the schema as the document has it: to compile one takes longer than all that is checked by it. */
  readonly #checks = new Map<Schema, (value: unknown) => boolean>();

  constructor(document: Schema) {
    this.#document = document;
    this.#ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false });
    this.#ajv.addSchema({ ...document, $id: 'api' });
    this.operations = Object.entries(recordAt(document, 'paths')).flatMap(([path, item]) =>
      METHODS.filter((method) => isRecord(item) && isRecord(item[method])).map((method) =>
        this.#operation(path, method, recordAt(item, method)),
      ),
    );
  }

  static async of(edgeUrl: string): Promise<Surface> {
    const document: unknown = await (await fetch(`${edgeUrl}/openapi.json`)).json();
    if (!isRecord(document)) throw new Error('the OpenAPI document is no object');
    return new Surface(document);
  }

  get withBody(): (Operation & { body: Schema })[] {
    return this.operations.filter(
      (operation): operation is Operation & { body: Schema } => operation.body !== undefined,
    );
  }

  /** Whether a body is one by the document: a second opinion beside the edge's own. */
  allows(schema: Schema, value: unknown): boolean {
    const check = this.#checks.get(schema) ?? this.#ajv.compile(withAbsoluteRefs(schema));
    this.#checks.set(schema, check);
    return check(value);
  }

  /** What a `$ref` stands for. */
  resolve(schema: Schema): Schema {
    const { $ref: ref } = schema;
    if (typeof ref !== 'string') return schema;
    const found = ref
      .replace(/^#\//, '')
      .split('/')
      .reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), this.#document);
    return isRecord(found) ? this.resolve(found) : {};
  }

  #operation(path: string, method: (typeof METHODS)[number], operation: Schema): Operation {
    const body = recordAt(
      recordAt(recordAt(recordAt(operation, 'requestBody'), 'content'), 'application/json'),
      'schema',
    );
    const { parameters } = operation;
    const all: unknown[] = Array.isArray(parameters) ? parameters : [];
    const queries = all
      .filter(isRecord)
      .map((parameter) => this.resolve(parameter))
      .filter((parameter) => parameter['in'] === 'query');
    return {
      method: method.toUpperCase() as Method,
      path,
      body: Object.keys(body).length === 0 ? undefined : body,
      queries: queries.map((parameter) => ({
        name: String(parameter['name']),
        schema: this.resolve(recordAt(parameter, 'schema')),
        isRequired: parameter['required'] === true,
      })),
      needs: needsOf(path, operation),
    };
  }
}

function withAbsoluteRefs(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#', '"$ref":"api#')) as Schema;
}

function needsOf(path: string, { security }: Schema): Operation['needs'] {
  if (path.startsWith('/internal/') || (Array.isArray(security) && security.length === 0)) return 'nothing';
  return path.startsWith('/admin/') ? 'admin' : 'key';
}

function recordAt(value: unknown, key: string): Record<string, unknown> {
  const found = isRecord(value) ? value[key] : undefined;
  return isRecord(found) ? found : {};
}
