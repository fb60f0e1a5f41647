import { describe, expect, it } from 'vitest';
import { parseCountry, readCountries } from './countries.ts';
import { factQuestions } from './questions.ts';

const countries = readCountries();
const questions = factQuestions(countries);
const answerOf = (question: string): string | undefined =>
  questions.find((each) => each.question === question)?.answer;

describe('factbook questions', () => {
  it.each([
    ['What is the capital of Kenya?', 'The capital of Kenya is Nairobi.'],
    ['What is the capital of Moldova?', 'The capital of Moldova is Chisinau.'],
    ['How many people live in Algeria?', 'In 2015 about 40 million people lived in Algeria.'],
    ['How large is Chad?', 'The area of Chad is about 1.3 million square kilometers.'],
    ['Where is the Netherlands?', 'The Netherlands is in Europe.'],
    ['What is the currency of Japan?', 'In Japan people pay with yen.'],
    ['Which languages are official in Chad?', 'French and Arabic are official in Chad.'],
    ['When did Angola become independent?', 'Angola became independent from Portugal in 1975.'],
    ['What is the internet country code of Egypt?', 'The internet country code of Egypt is .eg.'],
    ['What is the highest point of Turkey?', 'The highest point of Turkey is Mount Ararat at 5,166 meters.'],
    ['Which countries border Ireland?', 'Ireland borders the United Kingdom.'],
    ['Where is the Dominican Republic?', 'The Dominican Republic is in Central America and the Caribbean.'],
  ])('%s', (question, answer) => {
    expect(answerOf(question)).toBe(answer);
  });

  it.each([
    ['a capital with two of them', 'What is the capital of Bolivia?'],
    ['borders of far-away parts', 'Which countries border France?'],
    ['a currency that was given up', 'What is the currency of Estonia?'],
    ['independence that is no single event', 'When did Oman become independent?'],
  ])('leave out %s', (_, question) => {
    expect(answerOf(question)).toBeUndefined();
  });

  it('are plain ASCII sentences without notes, brackets or leftovers', () => {
    for (const { question, answer } of questions) {
      expect(question).toMatch(/^[A-Z][A-Za-z' -]+[?.]$/);
      expect(answer).toMatch(/^[A-Z][A-Za-z\d',. -]+\.$/);
      expect(answer).not.toMatch(/undefined|NaN|note|\bnone\b|\.\.|  /);
    }
  });

  it('are distinct, and each has one answer', () => {
    expect(new Set(questions.map(({ question }) => question)).size).toBe(questions.length);
  });

  it('hold out some phrasings, and train every held-out fact in other words', () => {
    const heldOut = questions.filter((each) => each.heldOut);
    const trained = questions.filter((each) => !each.heldOut);
    expect(heldOut.length).toBeGreaterThanOrEqual(200);
    for (const { country, answer } of heldOut) {
      expect(trained.filter((each) => each.country === country && each.answer === answer)).toHaveLength(2);
    }
  });
});

describe('parseCountry', () => {
  it.each([[null], [{}], ['text'], [{ Government: { 'Country name': { 'conventional short form': 3 } } }]])(
    'gives nothing for %j',
    (file) => {
      expect(parseCountry(file)).toBeUndefined();
    },
  );

  it('reads some 150 countries', () => {
    expect(countries.length).toBeGreaterThan(140);
    expect(new Set(countries.map(({ name }) => name)).size).toBe(countries.length);
  });
});
