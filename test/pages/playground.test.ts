import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Stage } from '../support/playground.ts';
import { testChat } from './playground/chat.ts';
import { testViews } from './playground/views.ts';
import { testWhole } from './playground/whole.ts';

// One system and one browser for all: to start them takes longer than to ask them.
const stage = new Stage();
beforeAll(() => stage.start());
afterAll(() => stage.end());
beforeEach(() => stage.open());
afterEach(() => stage.close());

testChat(stage);
testViews(stage);
testWhole(stage);
