import { exportTo, importFrom } from './backup.ts';
import { type AdminApi, AdminError } from './client.ts';
import { list, readFlags, SETTING_FLAGS, settingsOf, unixTime, whole } from './flags.ts';

/** Does what the words say and returns what to print. */
export type Command = (api: AdminApi, args: readonly string[]) => Promise<unknown>;

const keyPath = (id: string | undefined): string => `/keys/${encodeURIComponent(id ?? '')}`;

async function rotate(api: AdminApi, args: readonly string[]): Promise<unknown> {
  const { values, positionals } = readFlags(args, ['grace-seconds'], 1);
  const grace = values['grace-seconds'];
  const body = grace === undefined ? {} : { grace_seconds: whole(grace, 'grace-seconds') };
  return api.post(`${keyPath(positionals[0])}/rotate`, body);
}

async function createToken(api: AdminApi, args: readonly string[]): Promise<unknown> {
  const { values } = readFlags(args, ['name', 'scopes', 'expires-at'], 0);
  const expires = values['expires-at'];
  return api.post('/tokens', {
    name: values.name ?? 'unnamed',
    scopes: list(values.scopes ?? ''),
    ...(expires === undefined ? {} : { expires_at: unixTime(expires, 'expires-at') }),
  });
}

const withFile = (work: (api: AdminApi, path: string) => Promise<unknown>): Command => {
  return async (api, args) => {
    const [path] = readFlags(args, [], 1).positionals;
    if (path === undefined) throw new AdminError('Name a file.');
    return work(api, path);
  };
};

/** Commands by their one or two words. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  'keys create': async (api, args) => api.post('/keys', settingsOf(readFlags(args, SETTING_FLAGS, 0))),
  'keys list': async (api, args) => api.get('/keys', readFlags(args, ['after', 'limit'], 0).values),
  'keys show': async (api, args) => api.get(keyPath(readFlags(args, [], 1).positionals[0])),
  'keys update': async (api, args) => {
    const flags = readFlags(args, SETTING_FLAGS, 1);
    return api.patch(keyPath(flags.positionals[0]), settingsOf(flags));
  },
  'keys rotate': rotate,
  'keys revoke': async (api, args) => api.post(`${keyPath(readFlags(args, [], 1).positionals[0])}/revoke`),
  'tokens create': createToken,
  'tokens list': async (api, args) => {
    readFlags(args, [], 0);
    return api.get('/tokens');
  },
  'tokens revoke': async (api, args) => {
    const [id = ''] = readFlags(args, [], 1).positionals;
    return api.post(`/tokens/${encodeURIComponent(id)}/revoke`);
  },
  usage: async (api, args) =>
    api.get('/usage', readFlags(args, ['key', 'model', 'from', 'to', 'group', 'limit'], 0).values),
  requests: async (api, args) => api.get('/requests', readFlags(args, ['limit'], 0).values),
  'requests show': async (api, args) => {
    const { values, positionals } = readFlags(args, ['key'], 1);
    return api.get(`/requests/${encodeURIComponent(positionals[0] ?? '')}`, values);
  },
  backends: async (api, args) => api.get('/backends', readFlags(args, [], 0).values),
  audit: async (api, args) => api.get('/audit', readFlags(args, ['before', 'limit'], 0).values),
  export: withFile(exportTo),
  import: withFile(importFrom),
};

export const HELP = `npm run admin -- COMMAND: manages the keys of an edge.

  keys create [settings]            makes a key; it is shown this once
  keys list [--after ID] [--limit N]
  keys show ID
  keys update ID [settings]         changes what is given, and nothing else
  keys rotate ID [--grace-seconds N]  another secret; the old one ends after a day, or N seconds
  keys revoke ID                    ends the key now and for good, running streams too
  tokens create --name TEXT --scopes A,B [--expires-at DATE]
                                    a token of the admin API, with the scopes keys:read, keys:write, usage:read,
                                    fleet:read, audit:read, admin (everything)
  tokens list
  tokens revoke ID
  usage [--key ID] [--model M] [--from DAY] [--to DAY] [--group key,day,model] [--limit N]
                                    by key, day and model, or summed up by some of them; days are UTC
  requests [--limit N]              what runs now
  requests show ID [--key ID]       one request with its signed receipt
  backends                          who serves: health, load, what passes take there
  audit [--before ID] [--limit N]   every change, newest first
  export FILE                       all keys, bills, tokens and the log; secrets only as hashes
  import FILE                       into an edge with the same KEY_SECRETS; keys that are there stay as they are

Settings; "none" takes a limit away:
  --name TEXT  --metadata A=B,C=D  --models A,B  --expires-at DATE
  --requests-per-minute N  --tokens-per-minute N  --concurrent-streams N
  --budget-tokens N  --budget-nanos N (billionths of the price list's currency)  --budget-refill daily|monthly

The edge is TIDAR_EDGE_URL (http://127.0.0.1:8787 if absent), the token ADMIN_TOKEN: the edge's own, or one that
"tokens create" made. Answers are JSON.
`;
