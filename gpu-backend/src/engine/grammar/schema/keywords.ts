/** Every JSON-Schema keyword that a grammar follows, with what it means here. The docs' table is checked against it. */
export const SUPPORTED_KEYWORDS = {
  type: 'a type or a list of types; without it, all types',
  enum: 'of any values; beside it only `type`',
  const: 'any value; beside it only `type`',
  properties: 'in the order of the schema',
  required: 'also of names that `properties` does not list',
  additionalProperties: 'a schema or `false`; see closed objects',
  items: 'a schema or `false`',
  prefixItems: 'a list of schemas',
  minItems: 'up to 4,096',
  maxItems: 'up to 4,096',
  minLength: 'in characters, up to 4,096; not beside `pattern` or `format`',
  maxLength: 'in characters, up to 4,096; not beside `pattern` or `format`',
  pattern: 'matches anywhere, unless `^` and `$` tie it; not beside `format`',
  format: '`date`, `time`, `date-time`, `uuid`, `ipv4`, `email`',
  minimum: 'up to 15 digits',
  maximum: 'up to 15 digits',
  exclusiveMinimum: 'up to 15 digits',
  exclusiveMaximum: 'up to 15 digits',
  anyOf: 'beside it only annotations',
  oneOf: 'where no value can match two branches; beside it only annotations',
  allOf: 'of one schema; beside it only annotations',
  $ref: 'within the schema, `#` or `#/…`, recursive too; beside it only annotations',
  $defs: 'what `$ref` points to',
  definitions: 'what `$ref` points to',
} as const satisfies Record<string, string>;

/** Keywords that say nothing about which values are valid: they are read over. */
export const ANNOTATIONS: ReadonlySet<string> = new Set([
  '$schema',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
]);

/** Keywords that hold schemas but assert nothing by themselves. */
export const DEFINITIONS: ReadonlySet<string> = new Set(['$defs', 'definitions']);
