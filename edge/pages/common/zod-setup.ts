import { config } from 'zod';

// The build puts this before all else: zod is to make no code from strings, which the pages' policy forbids.
config({ jitless: true });
