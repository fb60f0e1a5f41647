import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const REPOSITORY: string = fileURLToPath(new URL('../../../..', import.meta.url));
