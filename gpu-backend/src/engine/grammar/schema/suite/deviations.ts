/**
 * Where grammars part from the official suite, by the name that docs/structured-output.md gives the reason: valid
 * instances that they do not write. There is no list of invalid instances that they do: none are.
 */
export const NOT_WRITTEN: Readonly<Record<string, readonly string[]>> = {
  'closed objects': [
    'additionalProperties | additionalProperties are allowed by default | additional properties are allowed',
    'anyOf | anyOf complex types | both anyOf valid (complex)',
    "properties | object properties validation | doesn't invalidate other properties",
  ],
  'key order': ['const | const with object | same object with different property order is valid'],
  'leap seconds': [
    'format-date-time | validation of date-time strings | a valid date-time with a leap second, UTC',
    'format-date-time | validation of date-time strings | a valid date-time with a leap second, with minus offset',
    'format-time | validation of time strings | a valid time string with leap second, Zulu',
    'format-time | validation of time strings | valid leap second, zero time-offset',
    'format-time | validation of time strings | valid leap second, positive time-offset',
    'format-time | validation of time strings | valid leap second, large positive time-offset',
    'format-time | validation of time strings | valid leap second, negative time-offset',
    'format-time | validation of time strings | valid leap second, large negative time-offset',
  ],
  'one spelling': [
    'format-date-time | validation of date-time strings | case-insensitive T and Z',
    'format-time | validation of time strings | a valid time string with case-insensitive Z',
  ],
  'nine digits of a second': [
    'format-date-time | validation of date-time strings | a second fraction of fifteen nines is valid',
  ],
  'plain addresses': [
    'format-email | validation of e-mail addresses | a quoted string with a space in the local part is valid',
    'format-email | validation of e-mail addresses | a quoted string with a double dot in the local part is valid',
    'format-email | validation of e-mail addresses | a quoted string with a @ in the local part is valid',
    'format-email | validation of e-mail addresses | an IPv4-address-literal after the @ is valid',
    'format-email | validation of e-mail addresses | an IPv6-address-literal after the @ is valid',
  ],
  'closed tuples': [
    'prefixItems | a schema given for prefixItems | array with additional items',
    'prefixItems | additional items are allowed by default | only the first item is validated',
  ],
};

/** Schemas of the suite that are refused, by what the refusal says. */
export const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'uses "patternProperties"': [
    'additionalProperties | additionalProperties being false does not allow other properties',
    'additionalProperties | non-ASCII pattern with additionalProperties',
    'properties | properties, patternProperties, additionalProperties interaction',
  ],
  'beside "allOf"': [
    'additionalProperties | additionalProperties does not look in applicators',
    'allOf | allOf with base schema',
    'items | items does not look in applicators, valid case',
  ],
  'uses "propertyNames"': ['additionalProperties | additionalProperties with propertyNames'],
  'uses "dependentSchemas"': ['additionalProperties | dependentSchemas with additionalProperties'],
  '"allOf" of several schemas': [
    'allOf | allOf',
    'allOf | allOf simple types',
    'allOf | allOf with boolean schemas, all true',
    'allOf | allOf with boolean schemas, some false',
    'allOf | allOf with boolean schemas, all false',
    'allOf | allOf with two empty schemas',
    'allOf | allOf with the first empty schema',
    'allOf | allOf with the last empty schema',
  ],
  'beside "anyOf"': ['allOf | allOf combined with anyOf, oneOf', 'anyOf | anyOf with base schema'],
  'no value satisfies': [
    'anyOf | anyOf with boolean schemas, all false',
    "boolean_schema | boolean schema 'false'",
    'oneOf | oneOf with boolean schemas, all false',
    'prefixItems | prefixItems with boolean schemas',
    'ref | $ref to boolean schema false',
  ],
  'within the schema are supported': [
    'defs | validate definition against metaschema',
    'ref | remote ref, containing refs itself',
    'ref | simple URN base URI with $ref via the URN',
    'ref | URN base URI with URN and JSON pointer ref',
  ],
  'an empty "enum"': ['enum | empty enum'],
  'may match the same value': [
    'oneOf | oneOf',
    'oneOf | oneOf with boolean schemas, all true',
    'oneOf | oneOf with boolean schemas, more than one true',
    'oneOf | oneOf complex types',
    'oneOf | oneOf with empty schema',
    'oneOf | oneOf with missing optional property',
  ],
  'beside "oneOf"': ['oneOf | oneOf with base schema', 'oneOf | oneOf with required'],
  'a Unicode property': ['pattern | pattern with Unicode property escape requires unicode mode'],
  'beside "$ref"': [
    'ref | ref applies alongside sibling keywords',
    'ref | refs with relative uris and defs',
    'ref | relative refs with absolute uris and defs',
  ],
  'uses "$id"': [
    'ref | Recursive references between schemas',
    'ref | $id must be resolved against nearest parent, not just immediate parent',
    'ref | order of evaluation: $id and $ref',
    'ref | order of evaluation: $id and $ref on nested schema',
    'ref | URN ref with nested pointer ref',
    'ref | ref with absolute-path-reference',
  ],
  'uses "unevaluatedProperties"': ['ref | ref creates new scope when adjacent to keywords'],
  'uses "$anchor"': [
    'ref | order of evaluation: $id and $anchor and $ref',
    'ref | URN base URI with URN and anchor ref',
  ],
  'uses "if"': ['ref | ref to if'],
  'uses "then"': ['ref | ref to then'],
  'uses "else"': ['ref | ref to else'],
};
