import { PAGES_FOLDER, WORKER_MODULE } from './worker-files.ts';
import type { WorkerDescription } from './worker-files.ts';

export interface ServeSettings {
  readonly host: string;
  readonly port: number;
  /** An absolute path: of the Worker's files, beside the configuration. */
  readonly workerPath: string;
  /** An absolute path: what the Durable Objects store. */
  readonly storagePath: string;
  /** Of the variables that workerd finds in its environment: their values stand in no file and no argument. */
  readonly variables: readonly string[];
}

/** As configurations and URLs write it. */
export function addressOf({ host, port }: Pick<ServeSettings, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** workerd's configuration, a Cap'n Proto text that lies beside the Worker's module. */
export function workerdConfig(worker: WorkerDescription, settings: ServeSettings): string {
  const { workerPath, storagePath, variables } = settings;
  const bindings = [
    ...worker.durableObjects.map(
      ({ binding, className }) => `(name = ${text(binding)}, durableObjectNamespace = ${text(className)})`,
    ),
    `(name = ${text(worker.pagesBinding)}, service = "pages")`,
    ...variables.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
  ];
  // The key is miniflare's, so that a folder that wrangler dev filled can be taken over; it must never change.
  const namespaces = worker.durableObjects.map(
    ({ className }) =>
      `(className = ${text(className)}, uniqueKey = ${text(`${worker.name}-${className}`)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  logging = (structuredLogging = true),
  services = [
    (name = "worker", worker = .worker),
    (name = "pages", disk = (path = ${text(`${workerPath}/${PAGES_FOLDER}`)})),
    (name = "storage", disk = (path = ${text(storagePath)}, writable = true)),
    # Backends stand in private networks.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = ${text(addressOf(settings))}, http = (), service = "worker")],
);

const worker :Workerd.Worker = (
  modules = [(name = ${text(WORKER_MODULE)}, esModule = embed ${text(WORKER_MODULE)})],
  compatibilityDate = ${text(worker.compatibilityDate)},
  compatibilityFlags = [${worker.compatibilityFlags.map(text).join(', ')}],
  bindings = [
    ${bindings.join(',\n    ')},
  ],
  durableObjectNamespaces = [
    ${namespaces.join(',\n    ')},
  ],
  durableObjectStorage = (localDisk = "storage"),
);
`;
}

/** A string of Cap'n Proto's text form. */
function text(value: string): string {
  const escaped = value.replaceAll(/["\\]/g, String.raw`\$&`);
  return `"${escaped.replaceAll(/\p{Cc}/gu, (character) => `\\x${hex(character)}`)}"`;
}

const hex = (character: string): string => character.charCodeAt(0).toString(16).padStart(2, '0');
