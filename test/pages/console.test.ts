import { afterAll, afterEach, beforeAll } from 'vitest';
import { ConsoleDesk } from '../support/console.ts';
import { testKeys } from './console/keys.ts';
import { testRecords } from './console/records.ts';
import { testWhole } from './console/whole.ts';

// One system and one browser for all: to start them takes longer than to ask them.
const desk = new ConsoleDesk();
beforeAll(() => desk.start());
afterAll(() => desk.end());
afterEach(() => desk.close());

testKeys(desk);
testRecords(desk);
testWhole(desk);
