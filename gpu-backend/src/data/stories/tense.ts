const forms = `has had, owns owned, starts started, keeps kept, counts counted, buys bought, collects collected, brings brought,
  gets got, finds found, holds held, fills filled, puts put, receives received, wins won, adds added, picks picked,
  borrows borrowed, is was, are were, takes took, loses lost, gives gave, sells sold, breaks broke, throws threw,
  hands handed, leaves left, lends lent, uses used, donates donated, trades traded, returns returned, shares shared,
  divides divided, splits split, share shared, spreads spread, packs packed, wants wanted, needs needed, visit visited,
  wait waited, sit sat, come came, bring brought, join joined, arrive arrived, leave left, go went, get got, walk walked,
  form formed, fit fitted, pays paid, buy bought, eats ate, sees saw, run ran, disappear disappeared, contains contained,
  lie lay, orders ordered, hold held, costs cost, earns earned, works worked, makes made, walks walked, washes washed,
  mows mowed, saves saved, spends spent, goes went, does did, reads read, drives drove, rides rode, practices practiced,
  bakes baked, solves solved, writes wrote, drinks drank, plants planted, plans planned, delivers delivered, loads loaded,
  unloads unloaded, cleans cleaned, paints painted, folds folded, builds built, lays laid, uses used, grows grew,
  sends sent, answers answered, pours poured, weighs weighed, gains gained, sets set, serves served, waters watered,
  feeds fed, opens opened, moves moved, carries carried, stacks stacked, sorts sorted, prints printed, draws drew,
  knits knitted, learns learned, teaches taught, helps helped, burn burned, fly flew, swim swam, land landed, park parked,
  hide hid, stand stood, stop stopped, swims swam, climbs climbed, sleeps slept, visits visited, meets met, calls called,
  lies lay, comes came, stands stood, arrives arrived, sits sat, tears tore, drops dropped, hides hid, cooks cooked,
  cuts cut, mixes mixed, hangs hung, checks checked, fixes fixed, wraps wrapped, mails mailed, stores stored,
  rolls rolled, ships shipped, hosts hosted, invites invited, runs ran, rents rented, parks parked, hires hired, send sent, grow grew,
  eat ate, dry dried, ties tied, sing sang, want wanted, move moved, stay stayed, change changed, forms formed, own owned,
  finishes finished, sews sewed, glues glued, lasts lasted, stays stayed, can could`;

const pastOf = new Map(
  forms.split(/,\s*/).map((pair): [string, string] => {
    const [present = '', past = ''] = pair.split(' ');
    return [present, past];
  }),
);

/**
 * A wording in the past tense. Only the frame's own words are changed, never placeholders; a verb after "to" stays,
 * as in "had to leave".
 */
export function inPast(text: string): string {
  return text.replace(/\{[^}]*\}|(?<!\bto )(?<![\w'-])[A-Za-z]+(?![\w'-])/g, (word) =>
    word.startsWith('{') ? word : (pastOf.get(word) ?? word),
  );
}

const auxiliaries = new Map([
  ['does', 'did'],
  ['do', 'did'],
  ['is', 'was'],
  ['are', 'were'],
]);

/** A question in the past tense, told by its auxiliary alone: "How many pens did Ana have?" */
export function askedInPast(ask: string): string {
  return ask.replace(/\b(?:does|do|is|are)\b/, (word) => auxiliaries.get(word) ?? word);
}
