import { z } from 'zod';

export interface JsonSchema {
  [keyword: string]: unknown;
  properties?: Record<string, JsonSchema>;
}

/** What a schema takes; of answers and bodies. */
export function toSchema(schema: z.ZodType): JsonSchema {
  return converted(schema, 'input');
}

/** A query's parameters: they come as text, and are what their text is read as. */
export function queryParameters(schema: z.ZodType, descriptions: Readonly<Record<string, string>>): object[] {
  const { required } = converted(schema, 'input');
  const isRequired = (name: string): boolean => Array.isArray(required) && required.includes(name);
  return Object.entries(converted(schema, 'output').properties ?? {}).map(([name, value]) => ({
    name,
    in: 'query',
    description: descriptions[name],
    ...(isRequired(name) ? { required: true } : {}),
    // Lists have commas between.
    ...(value.type === 'array' ? { style: 'form', explode: false } : {}),
    schema: value,
  }));
}

/** Tells of each property what it is; of one that takes only null, that it is refused. */
export function describeAll(
  properties: Readonly<Record<string, JsonSchema>>,
  descriptions: Readonly<Record<string, string>>,
): void {
  for (const [name, schema] of Object.entries(properties)) {
    const description = descriptions[name];
    if (description !== undefined) schema.description = description;
    else if (schema.type === 'null') schema.description = 'Not supported: only null.';
  }
}

function converted(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest as JsonSchema;
}
