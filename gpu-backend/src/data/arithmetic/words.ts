import type { Random } from '../random.ts';

/** Kinds of words that a pattern may draw; the placeholder `{fruits}` is the plural of `fruit`. */
const wordLists = {
  item: [
    'apple',
    'pen',
    'marble',
    'sticker',
    'book',
    'shell',
    'coin',
    'card',
    'bead',
    'stamp',
    'button',
    'toy',
  ],
  fruit: ['apple', 'pear', 'plum', 'lemon', 'orange', 'melon', 'fig', 'lime'],
  food: ['cake', 'muffin', 'pie', 'cookie', 'bun', 'roll', 'bagel', 'waffle'],
  box: ['box', 'bag', 'basket', 'jar', 'crate', 'tray', 'bucket', 'pack'],
  good: ['pen', 'book', 'hat', 'lamp', 'ball', 'shirt', 'mug', 'kite'],
  plant: ['rose', 'tulip', 'tree', 'bean', 'bush', 'fern'],
  animal: ['cow', 'goat', 'duck', 'hen', 'horse', 'pig'],
  color: ['red', 'blue', 'green', 'white', 'black', 'yellow'],
  coat: ['white', 'black', 'brown'],
  week: ['day', 'week', 'month'],
} as const;

type WordKind = keyof typeof wordLists;

interface Person {
  name: string;
  female: boolean;
}

const people: readonly Person[] = [
  ...['Ana', 'Mia', 'Lena', 'Sara', 'Nora', 'Ella', 'Rosa', 'Kim', 'Ivy', 'Zoe', 'Maya', 'Lucy'].map(
    (name) => ({ name, female: true }),
  ),
  ...['Ben', 'Tom', 'Max', 'Leo', 'Sam', 'Noah', 'Omar', 'Paul', 'Hugo', 'Ian', 'Jack', 'Adam'].map(
    (name) => ({
      name,
      female: false,
    }),
  ),
];

/**
 * The words of one problem, drawn when first asked for and the same ever after. A digit at the end of the
 * placeholder asks for another word of the kind: `{name}`, `{name2}`, `{color3}`.
 */
export class Words {
  readonly #random: Random;
  readonly #people: Person[] = [];
  readonly #drawn = new Map<WordKind, string[]>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The word for a placeholder, or undefined where there is none such. */
  get(placeholder: string): string | undefined {
    const [, stem = '', digit = '1'] = /^([A-Za-z]+?)([2-4]?)$/.exec(placeholder) ?? [];
    const index = Number(digit || '1') - 1;
    return this.#personal(stem, index) ?? this.#thing(stem, index);
  }

  #personal(stem: string, index: number): string | undefined {
    switch (stem) {
      case 'name':
        return this.#person(index).name;
      case 'she':
        return this.#person(index).female ? 'she' : 'he';
      case 'She':
        return this.#person(index).female ? 'She' : 'He';
      case 'her':
        return this.#person(index).female ? 'her' : 'his';
      case 'him':
        return this.#person(index).female ? 'her' : 'him';
      default:
        return undefined;
    }
  }

  #person(index: number): Person {
    drawDistinct(this.#random, people, this.#people, index);
    return this.#people[index] as Person;
  }

  #thing(stem: string, index: number): string | undefined {
    const kind = kinds.find((each) => stem === each || stem === plural(each));
    if (kind === undefined) return undefined;
    const drawn = this.#drawn.get(kind) ?? [];
    this.#drawn.set(kind, drawn);
    drawDistinct(this.#random, wordLists[kind], drawn, index);
    const word = drawn[index] as string;
    return stem === kind ? word : plural(word);
  }
}

const kinds = Object.keys(wordLists) as WordKind[];

function drawDistinct<T>(random: Random, from: readonly T[], drawn: T[], index: number): void {
  while (drawn.length <= index) drawn.push(random.pick(from.filter((each) => !drawn.includes(each))));
}

function plural(word: string): string {
  return /(x|sh|ch)$/.test(word) ? `${word}es` : `${word}s`;
}
