import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { repositoryRoot } from './repository-files.ts';

export const DEPLOY = join(repositoryRoot, 'gpu-backend/deploy');
export const KUBERNETES = join(DEPLOY, 'kubernetes');

/** A Kubernetes object as its file has it. */
export interface Manifest {
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: unknown;
}

/** Every document of a YAML file; a key that stands twice is an error. */
export function readYaml(path: string): unknown[] {
  return parseAllDocuments(readFileSync(path, 'utf8'), { merge: true, uniqueKeys: true }).map((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error !== undefined) throw error;
    return document.toJS() as unknown;
  });
}

/** All objects for a cluster, the kustomization itself left out. */
export function readManifests(): Manifest[] {
  return readdirSync(KUBERNETES)
    .filter((file) => file !== 'kustomization.yaml')
    .flatMap((file) =>
      readYaml(join(KUBERNETES, file)).map((manifest) => ({ ...(manifest as Manifest), file })),
    );
}

/** Where the package with the objects' schemas has this one: the core group has no name. */
function modelPath({ apiVersion, kind }: Manifest): string {
  const root = apiVersion.startsWith('keda.sh/') ? '@kubernetes-models/keda' : 'kubernetes-models';
  return `${root}/${apiVersion}/${kind}`;
}

interface ModelClass {
  new (data: object): { validate(): void };
}

/** What the object's JSON schema says of it: required fields, types, formats, enumerations. */
export async function validateBySchema(manifest: Manifest): Promise<void> {
  const module = (await import(modelPath(manifest))) as Record<string, ModelClass>;
  const Model = module[manifest.kind];
  if (Model === undefined) throw new Error(`no schema for ${manifest.apiVersion} ${manifest.kind}`);
  const { file: _, ...object } = manifest;
  new Model(object).validate();
}

/**
 * Schemas allow fields that they do not know, which a cluster drops or refuses: a misspelt one would go unseen. The
 * same package's types allow none, so the objects are compiled as literals of them. Returns what the compiler says.
 */
export function findUnknownFields(manifests: readonly Manifest[]): string {
  const folder = join(repositoryRoot, '.runs', `manifests-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const lines = manifests.map((manifest, index) => {
      const { file: _, ...object } = manifest;
      const type = `import('${modelPath(manifest)}').I${manifest.kind}`;
      return `export const object${index}: ${type} = ${JSON.stringify(object)};`;
    });
    writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'));
    const compilerOptions = {
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'es2025',
      lib: ['es2025'],
    };
    const options = { ...compilerOptions, strict: true, noEmit: true, skipLibCheck: true, types: [] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
    const compiler = join(repositoryRoot, 'node_modules/.bin/tsc');
    return spawnSync(compiler, ['-p', folder], { encoding: 'utf8' }).stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
    readonly fieldRef?: { readonly fieldPath: string };
  };
}
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env?: readonly Variable[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
export interface PodSet {
  readonly serviceName: string;
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly template: {
    readonly metadata: { readonly labels: Readonly<Record<string, string>> };
    readonly spec: {
      readonly terminationGracePeriodSeconds: number;
      readonly securityContext: object;
      readonly containers: readonly [Container];
    };
  };
  readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
}

/** A StatefulSet's specification. */
export function podSet(name: string): PodSet {
  const found = readManifests().find((each) => each.kind === 'StatefulSet' && each.metadata.name === name);
  if (found === undefined) throw new Error(`no StatefulSet ${name}`);
  return found.spec as PodSet;
}

/** A container's variables as it sees them, `$(NAME)` filled in; secrets and fields from what is given. */
export function environmentOf(
  { env = [] }: Container,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const { name, value, valueFrom } of env) {
    const key = valueFrom?.secretKeyRef?.key ?? valueFrom?.fieldRef?.fieldPath ?? '';
    values[name] =
      value?.replaceAll(/\$\((\w+)\)/g, (_, other: string) => values[other] ?? '') ?? given[key] ?? '';
  }
  return values;
}
