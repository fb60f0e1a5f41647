import { describe, expect, it } from 'vitest';
import { addCounts, formatCounts, readReport } from './test-counts.ts';

const report = (change: object): string =>
  JSON.stringify({
    numPassedTests: 5,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
    ...change,
  });

describe('test counts', () => {
  it('are those of the report', () => {
    expect(readReport(report({}), true)).toEqual({ passed: 5, failed: 0, skipped: 0 });
    const failing = { numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 };
    expect(readReport(report(failing), false)).toEqual({ passed: 5, failed: 2, skipped: 2 });
  });

  it('count a file that does not load as a failure, and one with failing tests no second time', () => {
    const testResults = [
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] },
    ];
    expect(readReport(report({ numFailedTests: 1, testResults }), false).failed).toBe(2);
  });

  it('are never all good where the run failed', () => {
    expect(readReport(undefined, true).failed).toBe(1);
    expect(readReport(report({}), false).failed).toBe(1);
  });

  it('are summed, and name skipped tests only where there are some', () => {
    const sum = addCounts([
      { passed: 1, failed: 0, skipped: 0 },
      { passed: 5, failed: 2, skipped: 0 },
    ]);
    expect(formatCounts(sum)).toBe('6 passed, 2 failed');
    expect(formatCounts({ ...sum, skipped: 3 })).toBe('6 passed, 2 failed, 3 skipped');
  });
});
