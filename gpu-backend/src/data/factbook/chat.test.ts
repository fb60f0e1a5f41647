import { describe, expect, it } from 'vitest';
import { factChats } from '../mix.ts';
import { Random } from '../random.ts';
import { chatFacts, conversations } from './chat.ts';
import { readCountries } from './countries.ts';
import { factQuestions } from './questions.ts';
import { madeUpCountry, refusals, smallTalk } from './refusals.ts';

const countries = readCountries();
const facts = chatFacts(countries);
const talks = conversations(countries, new Random(1));
const answers = new Set(factQuestions(countries).map(({ answer }) => answer));

describe('facts in more words', () => {
  it('are distinct questions with the answers that the plain questions have', () => {
    expect(new Set(facts.map(({ question }) => question)).size).toBe(facts.length);
    for (const { answer } of facts) expect(answers.has(answer)).toBe(true);
  });

  it('keep held out what is held out among the plain questions, and some of the new ones', () => {
    const heldOut = new Set(facts.filter((each) => each.heldOut).map(({ question }) => question));
    const plain = factQuestions(countries).filter((each) => each.heldOut);
    expect(plain.filter(({ question }) => !heldOut.has(question))).toEqual([]);
    expect(heldOut.size).toBeGreaterThan(plain.length + 100);
  });

  it('train every held-out fact in at least two other wordings', () => {
    const trained = Map.groupBy(
      facts.filter(({ heldOut }) => !heldOut),
      ({ answer }) => answer,
    );
    for (const { answer } of facts.filter(({ heldOut }) => heldOut)) {
      expect(trained.get(answer)?.length ?? 0).toBeGreaterThanOrEqual(2);
    }
  });
});

describe('conversations', () => {
  it('answer with sentences that plain questions have', () => {
    expect(talks.length).toBeGreaterThan(200);
    for (const { answer } of talks.flat()) {
      const known = [...answers].filter((each) => answer.startsWith(each));
      const rest = known.map((each) => answer.slice(each.length).trim());
      expect(
        rest.some((each) => each === '' || answers.has(each)),
        answer,
      ).toBe(true);
    }
  });

  it('about one country stay with it, also where a question names it no more', () => {
    for (const turns of talks.filter(({ length }) => length === 3)) {
      const country = countries.filter(({ name }) => turns[0]!.question.includes(name)).at(-1);
      const named = turns.map(({ answer }) => answer.toLowerCase().includes(country!.name.toLowerCase()));
      expect(named, JSON.stringify(turns)).toEqual([true, true, true]);
    }
  });

  it('leave no placeholder and no question unanswered', () => {
    for (const { question, answer } of talks.flat()) {
      expect(question).toMatch(/^[A-Z][^{}]*[?.]$/);
      expect(answer).toMatch(/^[A-Z][^{}]*\.$/);
    }
  });

  it('do not begin with a held-out question', () => {
    const heldOut = new Set(facts.filter((each) => each.heldOut).map(({ question }) => question));
    const trained = factChats(1).flatMap(([turn]) => turn?.question ?? []);
    expect(trained.filter((question) => heldOut.has(question))).toEqual([]);
  });
});

describe('what the model cannot answer', () => {
  const refused = refusals(countries, new Random(1));

  it('is no question that it can answer', () => {
    const known = new Set(facts.map(({ question }) => question));
    expect(refused.filter(({ question }) => known.has(question))).toEqual([]);
    expect(smallTalk().filter(({ question }) => known.has(question))).toEqual([]);
  });

  it('is answered with one of two sentences and what it can do', () => {
    expect(new Set(refused.map(({ answer }) => answer)).size).toBe(2);
    for (const { answer } of refused) expect(answer).toMatch(/^I do not know .* I can answer /);
  });

  it('has made-up countries that no country of the data is called like', () => {
    const real = new Set(countries.map(({ name }) => name));
    const random = new Random(1);
    const names = Array.from({ length: 2_000 }, () => madeUpCountry(random, real));
    expect(names.filter((name) => real.has(name))).toEqual([]);
    expect(new Set(names).size).toBeGreaterThan(1_000);
  });

  it('and small talk has one answer a question', () => {
    const questions = smallTalk().map(({ question }) => question);
    expect(new Set(questions).size).toBe(questions.length);
  });
});
