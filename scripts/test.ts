/**
 * `npm test`: the static checks, then every test, also where a check failed. The last line counts both:
 * "N passed, N failed". Arguments go to vitest, `npm test -- shared` say.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { addCounts, formatCounts, readReport, type Counts } from './test-counts.ts';

const root = path.join(import.meta.dirname, '..');
const reportPath = path.join(root, '.runs', 'test-report.json');
const countsPath = path.join(root, '.runs', 'test-counts.txt');

function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** One check is one npm script; `node --run` starts it without npm's own start-up time. */
function runCheck(name: string): Counts {
  console.log(`\n> ${name}`);
  const passed = run(process.execPath, ['--run', name]);
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

function runTests(args: readonly string[]): Counts {
  const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
  const succeeded = run(process.execPath, [vitest, 'run', ...reporters, ...args]);
  return readReport(readReportFile(), succeeded);
}

function readReportFile(): string | undefined {
  try {
    return readFileSync(reportPath, 'utf8');
  } catch {
    return undefined; // vitest ended before it wrote one
  }
}

mkdirSync(path.dirname(reportPath), { recursive: true });
for (const file of [reportPath, countsPath]) rmSync(file, { force: true });
const counts = addCounts([
  ...['format:check', 'lint', 'typecheck'].map(runCheck),
  runTests(process.argv.slice(2)),
]);
writeFileSync(countsPath, `${formatCounts(counts)}\n`);
console.log(`\n${formatCounts(counts)}`);
process.exitCode = counts.failed === 0 ? 0 : 1;
