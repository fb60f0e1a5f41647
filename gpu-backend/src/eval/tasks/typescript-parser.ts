import { SyntaxKind } from 'typescript/unstable/ast';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import type { FileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';

const CONFIG = '/tsconfig.json';
const FILE = '/code.ts';
const OPTIONS = { compilerOptions: { noLib: true, noResolve: true, types: [] }, files: [FILE] };

const DECLARATIONS: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.InterfaceDeclaration,
  SyntaxKind.TypeAliasDeclaration,
  SyntaxKind.ClassDeclaration,
  SyntaxKind.EnumDeclaration,
  SyntaxKind.ModuleDeclaration,
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.VariableStatement,
  SyntaxKind.ImportDeclaration,
  SyntaxKind.ExportDeclaration,
]);

/** The parser's own process lives as long as this one; TypeScript's library ends it. */
let parser: API | undefined;
const files: Record<string, string> = { [CONFIG]: JSON.stringify(OPTIONS), [FILE]: '' };

/** Whether a text is nothing but declarations, without a syntax error, by TypeScript's own parser. */
export function isCompleteDeclaration(code: string): boolean {
  files[FILE] = code;
  parser ??= new API({ fs: virtualFiles(), cwd: '/' });
  parser.clearSourceFileCache(); // it would keep the last text
  const snapshot = parser.updateSnapshot({ openProjects: [CONFIG], fileChanges: { changed: [FILE] } });
  try {
    const program = snapshot.getProject(CONFIG)?.program;
    const file = program?.getSourceFile(FILE);
    if (program === undefined || file === undefined) throw new Error('TypeScript did not open the code');
    if (program.getSyntacticDiagnostics(FILE).length > 0) return false;
    return file.statements.length > 0 && file.statements.every(({ kind }) => DECLARATIONS.has(kind));
  } finally {
    snapshot.dispose();
  }
}

function virtualFiles(): FileSystem {
  return { ...createVirtualFileSystem(files), readFile: (name) => files[name] ?? null };
}
