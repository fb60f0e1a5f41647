import { createApp } from './app.ts';

export { Directory } from './directory/directory.ts';
export { Fleet } from './fleet/fleet.ts';
export { Ledger } from './ledger/ledger.ts';

export default createApp();
