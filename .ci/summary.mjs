// Says what failed, what was skipped and where the time went, and ends with the test runner's own counts; fails when it counted nothing or
// something failed. Arguments: the runner's JSON report, then NAME=SECONDS for each step of the gate.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const SLOWEST = 25;
const [reportFile, ...steps] = process.argv.slice(2);

let report;
try {
  report = JSON.parse(readFileSync(reportFile, 'utf8'));
} catch {
  report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, success: false };
}
const files = report.testResults ?? [];
const nameOf = (file) => path.relative(process.cwd(), file.name);
const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;
const firstLine = (text) => (text ?? '').split('\n', 1)[0];

const byFolder = new Map();
for (const file of files) {
  const folder = nameOf(file).split(path.sep).slice(0, 2).join('/');
  byFolder.set(folder, (byFolder.get(folder) ?? 0) + file.endTime - file.startTime);
}
const bySize = (a, b) => b[1] - a[1];

console.log(`\nTime of the gate: ${steps.map((step) => step.replace('=', ' ')).join(' s, ')} s`);
console.log('Time of test files, by folder (two run at once):');
for (const [folder, time] of [...byFolder].toSorted(bySize)) console.log(`  ${seconds(time).padStart(9)}  ${folder}`);
console.log(`Slowest ${SLOWEST} test files:`);
const times = files.map((file) => [nameOf(file), file.endTime - file.startTime]);
for (const [name, time] of times.toSorted(bySize).slice(0, SLOWEST)) console.log(`  ${seconds(time).padStart(9)}  ${name}`);

const tests = files.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: nameOf(file) })));
for (const test of tests.filter(({ status }) => status === 'pending' || status === 'todo' || status === 'skipped')) {
  console.log(`skipped: ${test.file} > ${test.fullName}`);
}
for (const test of tests.filter(({ status }) => status === 'failed')) {
  console.log(`failed: ${test.file} > ${test.fullName}: ${firstLine(test.failureMessages?.[0])}`);
}
const brokenFiles = files.filter((file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'));
for (const file of brokenFiles) console.log(`failed to run: ${nameOf(file)}: ${file.message}`);

// The gate installs them; a test of a client that was not there has shown nothing.
const clients = tests.filter(({ file }) => file.startsWith('test/clients/'));
const seesClients = clients.length > 0 && clients.every(({ status }) => status === 'passed' || status === 'failed');
if (!seesClients) console.log("failed: tests of other projects' clients were skipped or are missing (test/install-clients.sh says why)");

const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${report.numFailedTests + brokenFiles.length} failed, ${skipped} skipped`);
process.exit(report.success && report.numPassedTests > 0 && seesClients ? 0 : 1);
