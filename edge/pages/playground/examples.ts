import type { Settings } from './settings.ts';

export interface Example {
  readonly title: string;
  readonly prompt: string;
  readonly settings?: Partial<Settings>;
}

const ANIMAL = {
  type: 'object',
  properties: {
    animal: { type: 'string' },
    food: { type: 'array', items: { type: 'string' } },
    weight: { type: 'integer' },
  },
  required: ['animal', 'food', 'weight'],
  additionalProperties: false,
};

/** Of the kinds that the demo model was made for. */
export const EXAMPLES: readonly Example[] = [
  {
    title: 'A word problem',
    prompt: 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?',
  },
  {
    title: 'Prices',
    prompt:
      'A kite costs 12 dollars but today it is 7 dollars cheaper. How many dollars do 7 kites cost today?',
  },
  { title: 'A country', prompt: 'What is the capital of Kenya?' },
  {
    title: 'An object of a schema',
    prompt:
      'The otter eats dates and pears and weighs 278 kilograms.\nGive a JSON object with animal (string), food (array), weight (integer).',
    settings: { schema: JSON.stringify(ANIMAL, null, 2) },
  },
  {
    title: 'A declaration to go on with',
    prompt:
      'interface TypedPropertyDescriptor<T> {\n    enumerable?: boolean;\n    configurable?: boolean;\n',
    settings: { form: 'text', maxTokens: 96 },
  },
];
