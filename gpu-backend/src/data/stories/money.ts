import { end, move } from './frame.ts';
import type { Frame } from './frame.ts';

const gets = '{N} has [v + 1] dollars.';
const spends = '{N} has [v - 1] dollars left.';
const perPiece = 'The {goods} cost [1 * 2] dollars.';

/** Earning, saving, spending. */
const wallet: Frame = {
  id: 'wallet',
  weight: 4,
  isPersonal: true,
  things: ['dollars'],
  starts: [
    move(
      [],
      '{N} has {1} dollars',
      '{N} has {1} dollars in {her} wallet',
      '{N} gets {1} dollars for {her} birthday',
      '{N} saves {1} dollars',
      '{N} earns {1} dollars',
      '{N} has {1} dollars in a {box}',
      '{N} takes {1} dollars to the {place}',
      'There are {1} dollars in the wallet of {N}',
    ),
    move(
      ['{N} earns [1 * 2] dollars.'],
      '{N} works {1} hours for {2} dollars an hour',
      '{N} earns {2} dollars an hour and works {1} hours',
      '{N} is a {job} and gets {2} dollars for each of {1} hours',
      '{N} sells {1} {goods} for {2} dollars each',
      '{N} makes {1} {goods} and sells each for {2} dollars',
      '{N} walks {1} dogs for {2} dollars each',
      '{N} washes {1} cars and gets {2} dollars for each car',
      '{N} mows {1} lawns for {2} dollars each',
      '{N} gets {2} dollars from each of {1} {relatives}',
    ),
    move(
      ['{N} saves [1 * 2] dollars.'],
      '{N} saves {1} dollars each {period} for {2} {periods}',
      '{N} puts {1} dollars into a {box} every {period} for {2} {periods}',
      'Every {period} {N} saves {1} dollars. {She} does so for {2} {periods}',
    ),
    move(
      ['In all {N} has [1 + 2] dollars.'],
      '{N} gets {1} dollars from {N3} and {2} dollars from {N4}',
      '{N} has {1} dollars in one pocket and {2} in another',
      '{N} earns {1} dollars on {day2} and {2} dollars on {day3}',
      '{N} has {1} dollars at home and {2} dollars in the bank',
    ),
  ],
  gains: [
    move(
      [gets],
      'gets {1} dollars from {N2}',
      'earns {1} more dollars',
      'finds {1} dollars on the way to the {place}',
      'is paid {1} dollars',
      'gets {1} dollars more',
      'wins {1} dollars',
      'sells a {good2} for {1} dollars',
      'receives {1} dollars from {her} {relative}',
      'saves {1} dollars more',
    ),
    move(
      ['{N} earns [1 * 2] dollars.', '{N} has [o + r] dollars.'],
      'works {1} hours for {2} dollars an hour',
      'sells {1} {goods2} for {2} dollars each',
      'saves {2} dollars a week for {1} weeks',
    ),
  ],
  losses: [
    move(
      [spends],
      'spends {1} dollars',
      'spends {1} dollars at the {place}',
      'buys a {good} for {1} dollars',
      'pays {1} dollars for a {good}',
      'gives {1} dollars to {N2}',
      'loses {1} dollars',
      'pays {1} dollars for a ticket',
      'lends {N2} {1} dollars',
      'spends {1} dollars on {foods}',
      'donates {1} dollars',
      'gives {her} {relative} {1} dollars',
    ),
    move(
      [perPiece, '{N} has [o - r] dollars left.'],
      'buys {1} {goods} for {2} dollars each',
      'buys {1} {goods} that cost {2} dollars each',
      'pays for {1} {goods} at {2} dollars each',
    ),
    move(
      ['{N} spends [v / 1] dollars.', '{N} has [o - r] dollars left.'],
      'spends {1:part} of {her} money',
      'spends {1:part} of it on a {good}',
    ),
  ],
  ends: [
    end(
      ['{N} needs [1 - v] more dollars.'],
      [
        '{She} wants to buy a {big} for {1} dollars',
        'A {big} costs {1} dollars',
        '{N} wants a {big} that costs {1} dollars',
      ],
      'How many more dollars does {N} need?',
      'How many dollars are missing?',
      'How many dollars must {N} still save?',
    ),
    end(
      ['{N} can buy [v / 1] {goods}.'],
      ['{She} buys {goods} for {1} dollars each with all of it', 'A {good} costs {1} dollars'],
      'How many {goods} can {N} buy?',
      'How many {goods} can {she} get for the money?',
    ),
    end(
      ['{N2} has [v + 1] dollars.'],
      ['{N2} has {1} dollars more than {N}', '{N2} has {1} more dollars'],
      'How many dollars does {N2} have?',
    ),
    end(
      ['{N2} has [1 * v] dollars.'],
      ['{N2} has {1:times} as much money as {N}', '{N2} has {1:times} as many dollars'],
      'How many dollars does {N2} have?',
    ),
    end(
      ['Together they have [v + 1] dollars.'],
      ['{N2} has {1} dollars'],
      'How many dollars do they have together?',
      'How much money do the two have in all?',
    ),
    end(
      ['Each gets [v / 1] dollars.'],
      ['{She} shares the money equally among {1} {relatives}', '{1} {relatives} get the same share of it'],
      'How many dollars does each {relative} get?',
      'How much does each of them get?',
    ),
    end(
      ['{N} has [v - 1] more dollars than {N2}.'],
      ['{N2} has {1} dollars', '{N2} only has {1}'],
      'How many more dollars does {N} have than {N2}?',
    ),
  ],
  asks: [
    'How many dollars does {N} have now?',
    'How many dollars does {N} have?',
    'How much money does {N} have in all?',
    'How much money does {she} have now?',
    'How many dollars is that in total?',
    'How many dollars does {N} have in the end?',
  ],
  asksLeft: [
    'How many dollars does {N} have left?',
    'How much money does {N} have left?',
    'How many dollars are left?',
    'How much money does {she} still have?',
    'How many dollars does {N} have now?',
    'How many dollars remain?',
  ],
};

const paid = 'Then the price is [v + 1] dollars.';

/** What a purchase costs. */
const bill: Frame = {
  id: 'bill',
  weight: 3,
  isPersonal: false,
  things: ['dollars'],
  starts: [
    move(
      [perPiece],
      '{N} buys {1} {goods} for {2} dollars each',
      '{N} orders {1} {goods} at {2} dollars each',
      'A {good} costs {2} dollars and {N} buys {1} of them',
      'One {good} costs {2} dollars. {N} wants {1} {goods}',
      '{N} needs {1} {goods}. Each {good} costs {2} dollars',
    ),
    move(
      ['The tickets cost [1 * 2] dollars.'],
      '{1} {persons} go to the {place} and a ticket costs {2} dollars',
      '{N} buys {1} tickets for the {place} at {2} dollars each',
      'A ticket for the {place} costs {2} dollars. {N} buys {1}',
    ),
    move(
      ['Together they cost [1 + 2] dollars.'],
      '{N} buys a {good} for {1} dollars and a {good2} for {2} dollars',
      'A {good} costs {1} dollars and a {good2} costs {2} dollars',
      '{N} pays {1} dollars for a {good} and {2} dollars for a {good2}',
    ),
    move(
      [perPiece, 'The {goods2} cost [3 * 4] dollars.', 'In all it is [q + r] dollars.'],
      '{N} buys {1} {goods} for {2} dollars each and {3} {goods2} for {4} dollars each',
      '{N} buys {1} {goods} at {2} dollars each. {She} also buys {3} {goods2} at {4} dollars each',
    ),
    move(
      [],
      'A {big} costs {1} dollars',
      'The price of a {big} is {1} dollars',
      'A {good} costs {1} dollars',
    ),
    move(
      ['The {good2} costs [1 + 2] dollars.', 'Together they cost [1 + r] dollars.'],
      'A {good} costs {1} dollars and a {good2} costs {2} dollars more. {N} buys both',
    ),
    move(
      ['The {good2} costs [2 * 1] dollars.', 'Together they cost [1 + r] dollars.'],
      'A {good} costs {1} dollars. A {good2} costs {2:times} as much. {N} buys one of each',
    ),
  ],
  gains: [
    move(
      [paid],
      'delivery costs {1} dollars more',
      '{N} also pays {1} dollars for a {good3}',
      'there is a fee of {1} dollars',
      'a {box} for it costs another {1} dollars',
      '{N} gives a tip of {1} dollars',
      'a locker costs {1} dollars',
      'the shop adds {1} dollars of tax',
    ),
  ],
  losses: [
    move(
      ['Then the price is [v - 1] dollars.'],
      '{N} gets {1} dollars off',
      'the shop takes {1} dollars off',
      '{N} has a coupon for {1} dollars',
      'the price goes down by {1} dollars',
    ),
    move(
      ['{1:part} of it is [v / 1] dollars.', 'Then the price is [o - r] dollars.'],
      'the shop takes {1:part} off the price',
    ),
  ],
  ends: [
    end(
      ['{N} gets [1 - v] dollars back.'],
      ['{N} pays with {1} dollars', '{N} gives the seller {1} dollars'],
      'How many dollars does {N} get back?',
      'How much change does {N} get?',
    ),
    end(
      ['Each of them pays [v / 1] dollars.'],
      [
        '{1} {relatives} share the price equally',
        '{N} and {her} {relatives} are {1} people and split it evenly',
      ],
      'How many dollars does each of them pay?',
      'How much is it for each person?',
    ),
    end(
      ['{N} has [1 - v] dollars left.'],
      ['{N} had {1} dollars before', 'Before that {N} had {1} dollars'],
      'How many dollars does {N} have left?',
      'How much money is left?',
    ),
    end(
      ['{N} needs [v / 1] weeks.'],
      ['{N} saves {1} dollars each week to pay for it', 'Each week {N} can save {1} dollars'],
      'How many weeks does {N} need?',
      'After how many weeks can {N} pay for it?',
    ),
  ],
  asks: [
    'How many dollars does {N} pay?',
    'How many dollars is that in all?',
    'How much does {N} pay in total?',
    'What is the price in dollars?',
    'How many dollars does it cost in all?',
  ],
  asksLeft: ['How many dollars does {N} pay?', 'What is the price then?', 'How much does {N} pay now?'],
};

export const moneyFrames: readonly Frame[] = [wallet, bill];
