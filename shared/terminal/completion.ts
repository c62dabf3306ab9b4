import type { Argument, Command, Option } from 'commander';
import { SkerryError } from '#shared/kernel/errors.js';

/** Values known only at run time, by the name of the argument or option they complete ("model", "device"); failures complete to nothing. */
export type CompletionValues = Readonly<Record<string, () => Promise<readonly string[]>>>;

const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Adds `completion <shell>`, which prints a script, and the hidden `__complete`, which that script asks at every Tab. */
export function addCompletion(program: Command, values: CompletionValues = {}): void {
  program
    .command('completion')
    .description('Print a completion script for your shell.')
    .argument('<shell>', `Shell: ${SHELLS.join(', ')}.`)
    .addHelpText('after', `\nExample:\n  source <(${program.name()} completion bash)`)
    .action((shell: string) => {
      process.stdout.write(completionScript(program.name(), shell));
    });
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      const found = await complete(program, words, values);
      if (found.length > 0) process.stdout.write(`${found.join('\n')}\n`);
    });
}

/** What could stand in place of the last of `words` (words after the program's name; the last one is being typed, "" when not begun). */
export async function complete(program: Command, words: readonly string[], values: CompletionValues = {}): Promise<readonly string[]> {
  const typed = words.at(-1) ?? '';
  const { command, positionals, pending } = walk(program, words.slice(0, -1));
  const candidates =
    pending === undefined
      ? await atPosition(command, positionals, typed, values)
      : await valuesOf(pending.attributeName(), pending, values);
  return candidates.filter((candidate) => candidate.startsWith(typed)).toSorted();
}

/** Follows complete words into subcommands; tells which option still waits for its value. */
function walk(program: Command, words: readonly string[]): { command: Command; positionals: number; pending: Option | undefined } {
  let command = program;
  let positionals = 0;
  let pending: Option | undefined;
  for (const word of words) {
    if (pending !== undefined) {
      pending = undefined;
    } else if (word.startsWith('-')) {
      const option = command.options.find((candidate) => candidate.long === word || candidate.short === word);
      if (option !== undefined && (option.required || option.optional)) pending = option;
    } else {
      const child = positionals === 0 ? command.commands.find((item) => item.name() === word || item.aliases().includes(word)) : undefined;
      if (child === undefined) positionals += 1;
      else command = child;
    }
  }
  return { command, positionals, pending };
}

async function atPosition(command: Command, positionals: number, typed: string, values: CompletionValues): Promise<readonly string[]> {
  const help = command.createHelp();
  if (typed.startsWith('-')) return help.visibleOptions(command).flatMap((option) => (option.long === undefined ? [] : [option.long]));
  const children = positionals === 0 ? help.visibleCommands(command).map((child) => child.name()) : [];
  const declared = command.registeredArguments;
  const last = declared.at(-1);
  const argument = declared[positionals] ?? (last?.variadic === true ? last : undefined);
  return argument === undefined ? children : [...children, ...(await valuesOf(argument.name(), argument, values))];
}

async function valuesOf(name: string, declared: Option | Argument, values: CompletionValues): Promise<readonly string[]> {
  if (declared.argChoices !== undefined) return declared.argChoices;
  if (name === 'shell') return SHELLS;
  const source = Object.hasOwn(values, name) ? values[name] : undefined;
  return source === undefined ? [] : source().catch(() => []);
}

/** The script that joins a shell's completion to `<program> __complete`. */
export function completionScript(program: string, shell: string): string {
  const fn = `_${program.replaceAll(/[^A-Za-z0-9]/g, '_')}`;
  switch (shell) {
    case 'bash':
      return [
        `${fn}() {`,
        `  local IFS=$'\\n'`,
        `  COMPREPLY=($(${program} __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))`,
        '  [ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))',
        '}',
        `complete -o filenames -F ${fn} ${program}`,
        '',
      ].join('\n');
    case 'zsh':
      return [
        `#compdef ${program}`,
        `${fn}() {`,
        '  local -a found',
        `  found=("\${(@f)$(${program} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")`,
        '  if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi',
        '}',
        `compdef ${fn} ${program}`,
        '',
      ].join('\n');
    case 'fish':
      return [
        `function ${fn}`,
        '  set -l words (commandline -opc)',
        `  ${program} __complete -- $words[2..-1] (commandline -ct) 2>/dev/null`,
        'end',
        `complete -c ${program} -a '(${fn})'`,
        '',
      ].join('\n');
    default:
      throw new SkerryError('CLI_USAGE', `no completion for "${shell}"; there is one for ${SHELLS.join(', ')}`);
  }
}
