import { hashText } from '../arithmetic/problem.ts';
import { joinWithAnd } from '../factbook/text.ts';
import type { Random } from '../random.ts';
import { lexicon, men, plural, women } from '../stories/lexicon.ts';

/** A question for a JSON object, with the object. */
export interface JsonQuestion {
  question: string;
  schema: object;
  expected: Record<string, unknown>;
  /** Kept for evaluation: this kind of thing with these keys in this order is never trained. */
  isHeldOut: boolean;
}

type Value = string | number | boolean | string[];

interface Field {
  key: string;
  type: 'string' | 'integer' | 'boolean' | 'array';
  draw: (random: Random) => Value;
  /** Clauses about the thing `{it}`; `{v}` is the value as it is read. */
  told: (value: Value) => readonly string[];
}

interface Kind {
  id: string;
  /** The name that stands for the thing in the text, which is its first field too. */
  name: Field;
  fields: readonly Field[];
}

const towns =
  `London, Paris, Rome, Berlin, Madrid, Vienna, Oslo, Lisbon, Dublin, Athens, Boston, Chicago, Denver, Austin,
  Toronto, Tokyo, Delhi, Cairo, Nairobi, Lima, Sydney, Prague, Warsaw, Zurich, Milan, Lyon, Porto, Seattle, Dallas,
  Miami`.split(/,\s*/);

const text = (key: string, from: readonly string[], told: (value: Value) => readonly string[]): Field => ({
  key,
  type: 'string',
  draw: (random) => random.pick(from),
  told,
});
const whole = (
  key: string,
  [min, max]: readonly [number, number],
  told: (value: Value) => readonly string[],
): Field => ({ key, type: 'integer', draw: (random) => random.integer(min, max), told });
const flag = (key: string, yes: readonly string[], no: readonly string[]): Field => ({
  key,
  type: 'boolean',
  draw: (random) => random.integer(0, 1) === 0,
  told: (value) => (value === true ? yes : no),
});
const several = (key: string, from: readonly string[], told: (value: Value) => readonly string[]): Field => ({
  key,
  type: 'array',
  draw: (random) => random.shuffle([...from]).slice(0, random.integer(1, 3)),
  told,
});

function listed(value: Value): string {
  return Array.isArray(value) ? joinWithAnd(value) : String(value);
}

const people = [...women, ...men];
const goods = [...lexicon.good, ...lexicon.tool];
const jobs = lexicon.job;
const colors = lexicon.color;
const fruits = lexicon.fruit.map(plural);

const kinds: readonly Kind[] = [
  {
    id: 'person',
    name: text('name', people, () => []),
    fields: [
      whole('age', [5, 90], (v) => [`is ${listed(v)} years old`, `turned ${listed(v)} this year`]),
      text('city', towns, (v) => [
        `lives in ${listed(v)}`,
        `comes from ${listed(v)}`,
        `has a home in ${listed(v)}`,
      ]),
      text('job', jobs, (v) => [`works as a ${listed(v)}`, `is a ${listed(v)}`]),
      whole('height', [100, 200], (v) => [`is ${listed(v)} centimeters tall`]),
      whole('children', [0, 6], (v) => [`has ${listed(v)} children`.replace(/\b1 children/, '1 child')]),
      flag('married', ['is married'], ['is not married']),
      several('likes', fruits, (v) => [`likes ${listed(v)}`, `likes to eat ${listed(v)}`]),
      text('pet', lexicon.animal, (v) => [`has a ${listed(v)}`, `owns a ${listed(v)}`]),
    ],
  },
  {
    id: 'product',
    name: text('product', goods, () => []),
    fields: [
      whole('price', [1, 200], (v) => [`costs ${listed(v)} dollars`, `is sold for ${listed(v)} dollars`]),
      whole('stock', [2, 300], (v) => [`is in stock ${listed(v)} times`]),
      text('color', colors, (v) => [`is ${listed(v)}`, `comes in ${listed(v)}`]),
      whole('weight', [2, 900], (v) => [`weighs ${listed(v)} grams`]),
      flag('new', ['is new'], ['is used']),
      text('maker', people, (v) => [`is made by ${listed(v)}`, `was made by ${listed(v)}`]),
      whole('rating', [1, 5], (v) => [`is rated ${listed(v)} of 5`]),
      several('shops', towns, (v) => [`is sold in ${listed(v)}`]),
    ],
  },
  {
    id: 'order',
    name: text('customer', people, () => []),
    fields: [
      text('item', goods.map(plural), (v) => [`orders ${listed(v)}`, `buys ${listed(v)}`]),
      whole('quantity', [2, 40], (v) => [`wants ${listed(v)} pieces`, `asks for ${listed(v)} pieces`]),
      whole('total', [5, 500], (v) => [`pays ${listed(v)} dollars`, `pays ${listed(v)} dollars in all`]),
      text('city', towns, (v) => [`wants it sent to ${listed(v)}`]),
      text('day', lexicon.day, (v) => [`expects it on ${listed(v)}`]),
      flag('paid', ['has paid already'], ['has not paid yet']),
      flag('gift', ['says that it is a gift'], ['says that it is no gift']),
    ],
  },
  {
    id: 'event',
    name: text(
      'event',
      [
        'concert',
        'match',
        'party',
        'lesson',
        'meeting',
        'fair',
        'race',
        'show',
        'dinner',
        'tour',
        'exam',
        'play',
      ],
      () => [],
    ),
    fields: [
      text('place', lexicon.place, (v) => [`is at the ${listed(v)}`, `takes place at the ${listed(v)}`]),
      text('city', towns, (v) => [`is held in ${listed(v)}`]),
      text('day', lexicon.day, (v) => [`is on ${listed(v)}`]),
      whole('hour', [8, 22], (v) => [`starts at ${listed(v)} o'clock`]),
      whole('guests', [2, 300], (v) => [`has ${listed(v)} guests`, `is visited by ${listed(v)} people`]),
      whole('price', [2, 90], (v) => [`costs ${listed(v)} dollars`]),
      flag('outdoors', ['is outdoors'], ['is indoors']),
      text('host', people, (v) => [`is led by ${listed(v)}`]),
    ],
  },
  {
    id: 'room',
    name: text(
      'room',
      ['kitchen', 'office', 'hall', 'bedroom', 'studio', 'cellar', 'attic', 'classroom', 'lobby', 'workshop'],
      () => [],
    ),
    fields: [
      whole('chairs', [2, 60], (v) => [`has ${listed(v)} chairs`]),
      whole('windows', [2, 12], (v) => [`has ${listed(v)} windows`]),
      whole('area', [5, 200], (v) => [`has an area of ${listed(v)} square meters`]),
      text('color', colors, (v) => [`is painted ${listed(v)}`]),
      text('owner', people, (v) => [`belongs to ${listed(v)}`]),
      flag('locked', ['is locked'], ['is open']),
      whole('floor', [1, 20], (v) => [`is on floor ${listed(v)}`]),
    ],
  },
  {
    id: 'animal',
    name: text(
      'animal',
      [
        ...lexicon.animal,
        'bear',
        'tiger',
        'lion',
        'zebra',
        'camel',
        'otter',
        'fox',
        'wolf',
        'panda',
        'koala',
      ],
      () => [],
    ),
    fields: [
      text('name', people, (v) => [`is called ${listed(v)}`, `has the name ${listed(v)}`]),
      whole('age', [1, 30], (v) => [`is ${listed(v)} years old`.replace(/\b1 years/, '1 year')]),
      whole('weight', [2, 400], (v) => [`weighs ${listed(v)} kilograms`]),
      text('color', colors, (v) => [`is ${listed(v)}`]),
      text('home', [...lexicon.place, ...lexicon.wild_place], (v) => [`lives near the ${listed(v)}`]),
      several('food', fruits, (v) => [`eats ${listed(v)}`]),
      flag('tame', ['is tame'], ['is wild']),
    ],
  },
];

const heldOutShare = 1 / 12;
const tellings = [
  'Give a JSON object with ',
  'Write this as a JSON object with ',
  'Turn this into JSON with ',
  'Extract a JSON object with ',
];

/** Draws a question: two to five fields, told in an order of their own. */
export function jsonQuestion(random: Random): JsonQuestion {
  const kind = random.pick(kinds);
  const asked = [kind.name, ...random.shuffle([...kind.fields]).slice(0, random.integer(1, 4))];
  const values = new Map(asked.map((field) => [field, field.draw(random)]));
  const name = listed(values.get(kind.name) ?? '');
  const isPerson = people.includes(name);
  const subject = isPerson ? name : `The ${name}`;
  const told = random
    .shuffle(asked.slice(1))
    .map((field) => random.pick(field.told(values.get(field) ?? '')));
  const description = asked.map(({ key, type }) => `${key} (${type})`).join(', ');
  const expected = Object.fromEntries(asked.map((field) => [field.key, values.get(field) ?? '']));
  return {
    question: `${tell(subject, told, random)}\n${random.pick(tellings)}${description}.`,
    schema: schemaOf(asked),
    expected,
    isHeldOut: hashText(`json:${kind.id}:${asked.map(({ key }) => key).join()}`) < heldOutShare * 2 ** 32,
  };
}

function tell(subject: string, clauses: readonly string[], random: Random): string {
  const sentences: string[] = [];
  for (let i = 0; i < clauses.length; i++) {
    const first = clauses[i] ?? '';
    const next = clauses[i + 1];
    const isJoined = next !== undefined && random.integer(0, 1) === 0;
    sentences.push(`${subject} ${first}${isJoined ? ` and ${next}` : ''}.`);
    if (isJoined) i++;
  }
  return sentences.join(' ');
}

function schemaOf(fields: readonly Field[]): object {
  const properties = Object.fromEntries(
    fields.map(({ key, type }) => [key, type === 'array' ? { type, items: { type: 'string' } } : { type }]),
  );
  return {
    type: 'object',
    properties,
    required: fields.map(({ key }) => key),
    additionalProperties: false,
  };
}
