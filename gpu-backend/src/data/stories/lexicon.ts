import type { Random } from '../random.ts';

const list = (text: string): readonly string[] => text.trim().split(/\s*,\s*/);

/** Kinds of words that a story may draw, singular; the placeholder `{toys}` is the plural of `{toy}`. */
export const lexicon = {
  toy: list(`marble, sticker, shell, coin, card, bead, stamp, button, toy, doll, puzzle, kite, crayon, ribbon,
    badge, pebble, feather, key, magnet, whistle, comic, poster, model car, game, ball, balloon, charm, postcard,
    ticket, token, ring, bracelet, robot, block, dice cup, yoyo, teddy bear, trading card, figure, gem, rock,
    fossil, medal, photo, pin, patch, bell, spinner, domino, jigsaw`),
  tool: list(`pen, pencil, book, notebook, eraser, folder, marker, brush, ruler, clip, envelope, bulb, battery, nail,
    screw, bolt, brick, tile, candle, rope, plate, cup, spoon, fork, glass, bowl, towel, pillow, blanket, sock,
    glove, scarf, hat, shirt, mug, lamp, basket ball, bottle, can, magazine, map, chair, needle, cushion, broom,
    bucket, tape roll, paper clip, hammer, board`),
  fruit:
    list(`apple, pear, plum, lemon, orange, melon, fig, lime, peach, mango, banana, cherry, grape, berry, kiwi,
    apricot, coconut, olive, date, nut, carrot, onion, potato, tomato, pepper, cucumber, radish, turnip, pumpkin,
    bean, mushroom, corn cob`),
  food: list(`cake, muffin, pie, cookie, bun, roll, bagel, waffle, pancake, sandwich, donut, tart, cupcake, brownie,
    cracker, pretzel, candy, lollipop, chocolate, egg, pizza, burger, taco, dumpling, meatball, biscuit, scone,
    pastry, wrap, sausage`),
  plant:
    list(`rose, tulip, tree, bush, fern, daisy, lily, flower, seed, bulb, cactus plant, vine, sunflower, herb,
    pine, oak, shrub, orchid, poppy, seedling`),
  animal:
    list(`cow, goat, duck, hen, horse, pig, rabbit, lamb, turkey, pony, donkey, dog, cat, chicken, turtle, parrot,
    frog, hamster, llama, pigeon`),
  wild: list(
    `bird, duck, frog, bee, butterfly, squirrel, swan, monkey, seal, crow, crab, snail, deer calf, owl, gull`,
  ),
  person:
    list(`child, student, visitor, guest, passenger, player, dancer, singer, worker, boy, girl, swimmer, runner,
    fan, camper, tourist, actor, climber, skater, cyclist, farmer, cook, painter, customer, member, hiker, reader`),
  box: list(`box, bag, basket, jar, crate, tray, bucket, pack, carton, drawer, case, packet, tin, sack, bin, tub, chest,
    pouch, envelope, bundle`),
  shelf: list(`rack, table, cupboard, cabinet, desk, bench, counter, row, stand`),
  place:
    list(`park, museum, library, hall, school, gym, station, beach, theater, cafe, garden, camp, club, bakery,
    pool, stadium, church, studio, hotel, castle, playground, circus, farm, shop`),
  ride: list(`bus, train, boat, ferry, tram, plane, van, ship, wagon, cable car`),
  wild_place: list(`pond, lake, tree, field, roof, meadow, river, fence, cave, hill, island, forest`),
  good: list(`pen, book, hat, lamp, ball, shirt, mug, kite, toy, game, scarf, poster, bag, plant, cup, ticket, belt, bowl,
    pillow, brush, clock, chair, plate, doll, puzzle, candle, towel, vase, notebook, cap, jacket, rug, fan, frame, pan,
    cake, pizza, pie, sandwich, basket, bracelet, ring, coat, tie, dress, phone case, toolbox, helmet, racket, drum`),
  big: list(`bike, tent, guitar, camera, watch, phone, table, skateboard, sofa, tablet, radio, drum set, coat, trip,
    telescope, piano, kayak, printer, scooter, bed, desk, violin, surfboard, bookcase, laptop`),
  job: list(`baker, gardener, painter, driver, teacher, farmer, waiter, cleaner, tutor, coach, guide, tailor, carpenter,
    mechanic, plumber, barber, florist, nurse, builder, fisher`),
  color: list(`red, blue, green, white, black, yellow, purple, pink, orange, brown, gray, gold, silver`),
  size: list(`small, large, new, old, wooden, plastic, round, shiny, striped, plain, tall, soft`),
  day: list(`Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday`),
  period: list(`day, week, month, year, morning, evening, weekend`),
  relative: list(
    `friend, cousin, neighbor, child, classmate, teammate, guest, nephew, niece, sister, brother, visitor`,
  ),
  chore: list(
    `wash cars, mow lawns, walk dogs, sell lemonade, rake leaves, paint fences, clean windows, deliver papers`,
  ),
  team: list(`team, group, class, crew, club, tent, bus, boat, van, cabin, table, row`),
} as const;

export type WordKind = keyof typeof lexicon;

export const women =
  list(`Ana, Mia, Lena, Sara, Nora, Ella, Rosa, Kim, Ivy, Zoe, Maya, Lucy, Emma, Olivia, Ava, Sofia,
  Clara, Grace, Alice, Ruth, Julia, Hannah, Amy, Jane, Lily, Tina, Vera, Wendy, Paula, Nina, Carla, Diana, Eva, Fatima,
  Gina, Helen, Irene, Joan, Karen, Laura, Mary, Natalie, Petra, Rachel, Susan, Teresa, Uma, Yara, Betty, Cindy, Dora,
  Elena, Flora, Heidi, Ines, Jenny, Lisa, Marta, Aisha, Mei, Priya, Keiko, Leila, Anna, Sophie, Molly, Kate, Beth`);
export const men =
  list(`Ben, Tom, Max, Leo, Sam, Noah, Omar, Paul, Hugo, Ian, Jack, Adam, James, Luke, Peter, Mark, David,
  John, Eric, Carl, Felix, George, Henry, Ivan, Jacob, Kevin, Liam, Martin, Nick, Oscar, Pedro, Ray, Simon, Tim, Victor,
  Will, Yusuf, Alan, Bruno, Chris, Daniel, Edgar, Frank, Gary, Harry, Isaac, Joel, Karl, Lewis, Mike, Nathan, Oliver,
  Philip, Robert, Steve, Theo, Amir, Raj, Kenji, Diego, Andre, Alex, Joe, Bill, Jim, Mateo, Ahmed, Fred`);

/** One name in so many is made up: a name has to be copied, not known. */
const madeUpEvery = 12;
const nameStarts =
  list(`Ka, Mo, Ri, Ta, Zu, Le, Sha, Bro, Fen, Gil, Hol, Jor, Kel, Lor, Mar, Nel, Ol, Pri, Quin, Ros,
  Sel, Tor, Ur, Ver, Wil, Xe, Yo, Zan, Dra, El`);
const nameEnds = list(
  `ra, mi, lo, nna, vik, den, ya, ston, bert, lia, ko, nar, wen, dis, mund, tta, rik, sa, lind, bo`,
);

const irregular = new Map([
  ['child', 'children'],
  ['shelf', 'shelves'],
  ['scarf', 'scarves'],
  ['potato', 'potatoes'],
  ['tomato', 'tomatoes'],
  ['mango', 'mangoes'],
  ['leaf', 'leaves'],
  ['deer calf', 'deer calves'],
  ['bus', 'buses'],
  ['yoyo', 'yoyos'],
]);

export function plural(word: string): string {
  const known = irregular.get(word);
  if (known !== undefined) return known;
  if (/[^aeiou]y$/.test(word)) return `${word.slice(0, -1)}ies`;
  return /(x|sh|ch|ss|s)$/.test(word) ? `${word}es` : `${word}s`;
}

const isKind = (text: string): text is WordKind => Object.hasOwn(lexicon, text);

/**
 * The words of one story, drawn when first asked for and the same ever after. A digit at the end of the
 * placeholder asks for another word of the kind: `{N}`, `{N2}`, `{toy3}`.
 */
export class StoryWords {
  readonly #random: Random;
  readonly #people: { name: string; female: boolean }[] = [];
  readonly #drawn = new Map<WordKind, string[]>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The word for a placeholder, or undefined where there is none such. */
  get(placeholder: string): string | undefined {
    const [, stem = '', digit = ''] = /^([A-Za-z_]+?)([2-4]?)$/.exec(placeholder) ?? [];
    const index = digit === '' ? 0 : Number(digit) - 1;
    return this.#personal(stem, index) ?? this.#thing(stem, index);
  }

  #personal(stem: string, index: number): string | undefined {
    if (!['N', 'she', 'She', 'her', 'him'].includes(stem)) return undefined;
    const { name, female } = this.#person(index);
    switch (stem) {
      case 'N':
        return name;
      case 'she':
        return female ? 'she' : 'he';
      case 'She':
        return female ? 'She' : 'He';
      case 'her':
        return female ? 'her' : 'his';
      default:
        return female ? 'her' : 'him';
    }
  }

  #person(index: number): { name: string; female: boolean } {
    while (this.#people.length <= index) {
      const female = this.#random.integer(0, 1) === 0;
      const isMadeUp = this.#random.integer(1, madeUpEvery) === 1;
      const name = isMadeUp ? this.#madeUpName() : this.#random.pick(female ? women : men);
      if (!this.#people.some((each) => each.name === name)) this.#people.push({ name, female });
    }
    return this.#people[index] ?? { name: '', female: true };
  }

  #madeUpName(): string {
    return this.#random.pick(nameStarts) + this.#random.pick(nameEnds);
  }

  #thing(stem: string, index: number): string | undefined {
    if (isKind(stem)) return this.#word(stem, index);
    const kind = (Object.keys(lexicon) as WordKind[]).find((each) => plural(each) === stem);
    return kind === undefined ? undefined : plural(this.#word(kind, index));
  }

  #word(kind: WordKind, index: number): string {
    const drawn = this.#drawn.get(kind) ?? [];
    this.#drawn.set(kind, drawn);
    while (drawn.length <= index) {
      const word = this.#random.pick(lexicon[kind]);
      if (!drawn.includes(word)) drawn.push(word);
    }
    return drawn[index] ?? '';
  }
}
