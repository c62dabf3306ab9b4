import type { Command } from 'commander';
import { keepNativePartsBelow } from '#shared/kernel/native-parts.js';
import { type Output, paint, printJson, printLine } from '#shared/terminal/output.js';
import { EXIT } from '#shared/terminal/run-cli.js';
import { type CommonOptions, dataOf, outputOf, withData, withJson } from './common.js';
import type { Finding } from './doctor-checks.js';

export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('Check what the agent needs: identity, clock, hub, broker, disk and inference runtime.');
  command.addHelpText(
    'after',
    '\nExample:\n  skerry-agent doctor --data ./device\n\nExit code: 0 when every check passed, 3 when some failed, 1 when all failed.',
  );
  withJson(withData(command)).action(async (options: CommonOptions) => {
    const out = outputOf(options);
    const { examine } = await import('./doctor-checks.js');
    const data = dataOf(options);
    keepNativePartsBelow(data);
    const findings: Finding[] = [];
    for await (const finding of examine(data)) {
      findings.push(finding);
      printFinding(out, finding);
    }
    if (out.json) printJson(out, findings);
    const failed = findings.filter((finding) => finding.verdict === 'bad').length;
    if (failed > 0) process.exitCode = failed === findings.length ? EXIT.failed : EXIT.partly;
  });
}

const MARKS = { good: ['green', 'ok  '], doubtful: ['yellow', 'hm  '], bad: ['red', 'FAIL'] } as const;

function printFinding(out: Output, finding: Finding): void {
  const [colour, mark] = MARKS[finding.verdict];
  printLine(out, `${paint(out, colour, mark)} ${finding.name.padEnd(10)} ${finding.says}`);
  if (finding.advice !== undefined) printLine(out, `     ${' '.repeat(10)} ${paint(out, 'dim', finding.advice)}`);
}
