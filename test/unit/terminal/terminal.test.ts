import { execFileSync, spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { array, assert, integer, property, string } from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import { addCompletion, complete, completionScript } from '#shared/terminal/completion.js';
import { formatAgo, formatBytes, formatDuration } from '#shared/terminal/format.js';
import { createOutput, fitted, paint, printJson, printTable } from '#shared/terminal/output.js';
import { createProgress } from '#shared/terminal/progress.js';
import { EXIT, runCli, wantsJson } from '#shared/terminal/run-cli.js';
import { shellQuote } from '#shared/terminal/shell-quote.js';

function capture(): { stream: PassThrough & { isTTY?: boolean }; text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { stream, text: () => text };
}

afterEach(() => {
  process.exitCode = 0;
});

describe('output', () => {
  it('aligns columns by visible width', () => {
    const { stream, text } = capture();
    const out = createOutput({ stdout: stream, stderr: stream, env: {} });
    printTable(
      out,
      [
        { title: 'model', value: (row: { model: string; n: number | undefined }) => row.model },
        { title: 'n', align: 'right', value: (row) => row.n },
      ],
      [
        { model: 'vad', n: 5 },
        { model: 'wake\nword', n: undefined },
        { model: 'ocr', n: 1234 },
      ],
    );
    expect(text()).toBe('MODEL         N\nvad           5\nwake word     -\nocr        1234\n');
  });

  it('colours a terminal, and not a pipe nor against NO_COLOR', () => {
    const { stream } = capture();
    const tty = Object.assign(new PassThrough(), { isTTY: true });
    expect(paint(createOutput({ stdout: stream, env: {} }), 'red', 'x')).toBe('x');
    expect(paint(createOutput({ stdout: tty, env: { NO_COLOR: '1' } }), 'red', 'x')).toBe('x');
    expect(paint(createOutput({ stdout: tty, env: {} }), 'red', 'x')).toBe('\u001b[31mx\u001b[39m');
  });

  it('prints only JSON with --json', async () => {
    const { stream, text } = capture();
    const out = createOutput({ json: true, stdout: stream, stderr: stream, env: {} });
    printTable(out, [{ title: 'a', value: () => 1 }], [{}]);
    const progress = await createProgress(out);
    progress.bar('x', 10).finish();
    progress.close();
    printJson(out, { n: 12n });
    expect(text()).toBe('{"n":"12"}\n');
  });
});

describe('progress without a terminal', () => {
  it('writes a line at every quarter and at the end', async () => {
    const { stream, text } = capture();
    const progress = await createProgress(createOutput({ stdout: stream, stderr: stream, env: {} }));
    const bar = progress.bar('vad', 100);
    for (let i = 0; i <= 100; i += 1) bar.update(i);
    bar.finish();
    bar.finish();
    progress.close();
    expect(text()).toBe('vad: 25% 25 of 100\nvad: 50% 50 of 100\nvad: 75% 75 of 100\nvad: done 100 of 100\n');
  });
});

describe('format', () => {
  it('says sizes and times as a person would', () => {
    expect([formatBytes(0), formatBytes(1536), formatBytes(3 * 1024 ** 3)]).toEqual(['0 B', '1.5 KiB', '3.0 GiB']);
    expect([0.4, 45, 2500, 250_000, 7_500_000, 90_000_000].map(formatDuration)).toEqual([
      '0.40 ms',
      '45 ms',
      '2.5 s',
      '4 min 10 s',
      '2 h 5 min',
      '1 d 1 h',
    ]);
    expect(formatAgo(0, 300_000)).toBe('5 min ago');
  });
});

function demo(action: () => void | Promise<void>): Command {
  const program = new Command('demo');
  program.command('go').argument('[model]').option('--json').option('--level <level>').action(action);
  const device = program.command('device');
  device.command('list').option('--json');
  return program;
}

describe('runCli', () => {
  const run = async (argv: string[], action: () => void | Promise<void>): Promise<{ code: number; out: string; err: string }> => {
    const stdout = capture();
    const stderr = capture();
    const code = await runCli(demo(action), { argv, stdout: stdout.stream, stderr: stderr.stream, env: {} });
    return { code, out: stdout.text(), err: stderr.text() };
  };

  it('exits 0, 1, 2 and 3', async () => {
    expect((await run(['go'], () => undefined)).code).toBe(EXIT.ok);
    expect((await run(['--help'], () => undefined)).code).toBe(EXIT.ok);
    process.exitCode = 0;
    expect((await run(['go', '--nope'], () => undefined)).code).toBe(EXIT.usage);
    process.exitCode = 0;
    const failed = await run(['go'], () => {
      throw new SkerryError('DISK_FULL', 'no space on /data');
    });
    expect(failed.code).toBe(EXIT.failed);
    expect(failed.err).toContain('no space on /data');
    expect(failed.err).toContain('[DISK_FULL]');
    process.exitCode = 0;
    const badSetting = await run(['go'], () => {
      throw new SkerryError('CONFIG_INVALID', '--port: a whole number from 0 to 65535');
    });
    expect(badSetting.code).toBe(EXIT.usage);
    process.exitCode = 0;
    expect(
      (
        await run(['go'], () => {
          process.exitCode = EXIT.partly;
        })
      ).code,
    ).toBe(EXIT.partly);
  });

  it('listens to the stream it was given, and to no other', async () => {
    const before = process.stdout.listenerCount('error');
    const { stream } = capture();
    await runCli(
      demo(() => undefined),
      { argv: ['go'], stdout: stream, stderr: stream, env: {} },
    );
    expect([process.stdout.listenerCount('error') - before, stream.listenerCount('error')]).toEqual([0, 2]);
  });

  it('writes one JSON error with --json', async () => {
    const failed = await run(['go', '--json'], () => {
      throw new SkerryError('DISK_FULL', 'full');
    });
    expect(JSON.parse(failed.err)).toMatchObject({ code: 'DISK_FULL', message: 'full', fault: 'environment' });
    const usage = await run(['go', '--json', '--nope'], () => undefined);
    expect(JSON.parse(usage.err)).toMatchObject({ code: 'CLI_USAGE' });
    expect(wantsJson(['a', '--', '--json'])).toBe(false);
  });
});

describe('help', () => {
  it('shows defaults as a person would type them, once, and none that is empty', async () => {
    const { stream, text } = capture();
    const program = new Command('demo')
      .option('--to <dir>', 'where to', './out')
      .option('--label <key>', 'a label; repeatable', (value: string) => [value], [])
      .option('--near <a,b>', 'how near (default: 1,2)', (value: string) => ({ value }), { value: '1,2' })
      .addOption(new Option('--data <dir>', 'a folder').env('DEMO_DATA'))
      .addOption(new Option('--mode <m>', 'how').choices(['a', 'b']));
    await runCli(program, { argv: ['--help'], stdout: stream, stderr: stream, env: {} });
    const lines = Object.fromEntries(
      text()
        .split('\n')
        .map((line) => line.trim().split(/ {2,}/) as [string, string]),
    );
    expect(lines).toMatchObject({
      '--to <dir>': 'where to (default: ./out)',
      '--label <key>': 'a label; repeatable',
      '--near <a,b>': 'how near (default: 1,2)',
      '--data <dir>': 'a folder (env: DEMO_DATA)',
      '--mode <m>': 'how (choices: a, b)',
    });
  });
});

describe('completion', () => {
  const program = (): Command => {
    const command = demo(() => undefined);
    addCompletion(command);
    return command;
  };

  it('completes commands, options, and values from callbacks', async () => {
    const values = { model: () => Promise.resolve(['vad', 'wake', 'ocr']) };
    expect(await complete(program(), [''])).toEqual(['completion', 'device', 'go', 'help']);
    expect(await complete(program(), ['de'])).toEqual(['device']);
    expect(await complete(program(), ['device', ''])).toEqual(['help', 'list']);
    expect(await complete(program(), ['go', '--'])).toEqual(['--help', '--json', '--level']);
    expect(await complete(program(), ['go', ''], values)).toEqual(['ocr', 'vad', 'wake']);
    expect(await complete(program(), ['go', 'w'], values)).toEqual(['wake']);
    expect(await complete(program(), ['go', '--level', ''], { level: () => Promise.reject(new Error('gone')) })).toEqual([]);
    expect(await complete(program(), ['completion', 'z'])).toEqual(['zsh']);
    expect(await complete(program(), ['go', 'constructor', ''], values)).toEqual([]);
  });

  it('prints a script for each shell, and refuses another', () => {
    for (const shell of ['bash', 'zsh', 'fish']) expect(completionScript('skerry-agent', shell)).toContain('skerry-agent __complete --');
    expect(() => completionScript('skerry', 'tcsh')).toThrow('no completion for "tcsh"');
  });

  it('parses options of other commands after "--" in the hidden command', async () => {
    expect(await runCli(program(), { argv: ['__complete', '--', 'go', '--js'] })).toBe(EXIT.ok);
  });
});

describe('narrow terminals', () => {
  const columns = [
    { title: 'device', value: (row: { device: string; labels: string }) => row.device },
    { title: 'labels', value: (row: { device: string; labels: string }) => row.labels },
  ];
  const rows = [{ device: 'cam-7', labels: 'site=lab,tier=gold,floor=3,room=12' }];
  const at = (width: number | undefined): string => {
    const { stream, text } = capture();
    printTable(
      createOutput({ stdout: Object.assign(stream, width === undefined ? {} : { isTTY: true, columns: width }), env: { NO_COLOR: '1' } }),
      columns,
      rows,
    );
    return text();
  };

  it('get tables whose widest columns are cut', () => {
    expect(at(undefined)).toContain('floor=3,room=12');
    expect(at(24)).toBe('DEVICE  LABELS\ncam-7   site=lab,tier=g\u2026\n');
  });

  it('get one line for each value where that is not enough', () => {
    expect(at(12)).toBe('cam-7\n  labels  site=lab,tier=gold,floor=3,room=12\n');
  });

  it('never get a line that is wider, whatever the columns', () => {
    assert(
      property(array(integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 9 }), integer({ min: 1, max: 120 }), (natural, width) => {
        const widths = fitted(natural, width);
        if (widths === undefined) return;
        expect(widths.reduce((total, each) => total + each, 2 * (natural.length - 1))).toBeLessThanOrEqual(width);
        for (const [index, each] of widths.entries()) expect(each).toBeLessThanOrEqual(natural[index] ?? 0);
      }),
    );
  });
});

describe('printed commands', () => {
  it('are read back by a shell as they were meant', () => {
    assert(
      property(
        string({ unit: 'binary' }).filter((word) => !word.includes('\0') && word !== ''),
        (word) => {
          expect(execFileSync('/bin/sh', ['-c', `printf %s ${shellQuote(word)}`]).toString('utf8')).toBe(
            Buffer.from(word).toString('utf8'),
          );
        },
      ),
      { numRuns: 30 },
    );
    expect(shellQuote('./publisher')).toBe('./publisher');
    expect(shellQuote("my friend's device")).toBe(String.raw`'my friend'\''s device'`);
  });
});

describe('output that cannot be written', () => {
  const main = fileURLToPath(new URL('../../../dist/hub/main.js', import.meta.url));
  it('ends a command with an error, and not with a crash', () => {
    const run = spawnSync('/bin/sh', ['-c', `"$0" "$1" --help > /dev/full`, process.execPath, main], { encoding: 'utf8' });
    expect([run.status, run.stderr]).toEqual([1, expect.stringMatching(/^error: the output could not be written: .*\nwhat to do: /)]);
    expect(run.stderr).not.toMatch(/^\s+at /m);
  });

  it('is dropped where it is only notes', () => {
    const run = spawnSync('/bin/sh', ['-c', `"$0" "$1" trust nothing 2> /dev/full`, process.execPath, main], { encoding: 'utf8' });
    expect(run.status).toBe(2);
  });
});
