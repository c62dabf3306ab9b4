// Prints the test runner's own counts as the closing line; fails when it counted nothing or something failed.
import { readFileSync } from 'node:fs';

let report;
try {
  report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
} catch {
  report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, success: false };
}
const skipped = report.numPendingTests + report.numTodoTests;
const brokenFiles = (report.testResults ?? []).filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
);
for (const file of brokenFiles) console.log(`failed to run: ${file.name}: ${file.message}`);
console.log(`${report.numPassedTests} passed, ${report.numFailedTests + brokenFiles.length} failed, ${skipped} skipped`);
process.exit(report.success && report.numPassedTests > 0 ? 0 : 1);
