import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { PackagedProgram } from '#shared/kernel/packaged-program.js';
import { type LaunchNote, type LaunchPlan, planLaunch, type SlotContent, slotsInQuestion } from './decide/launch-plan.js';
import { LAUNCHED_VARIABLE, type Launched } from './launched.js';
import { refuseTrial } from './decide/slot-changes.js';
import type { SlotFolder } from './slot-folder.js';
import { SLOT_NAMES, type SlotName, type Slots } from './slots.js';

interface LaunchOptions {
  readonly folder: SlotFolder;
  readonly program: PackagedProgram;
  /** Release of this executable. */
  readonly packaged: string;
  /** Arguments of the agent, from the command on. */
  readonly args: readonly string[];
  /** The environment of this process: what is set there the agent finds. */
  readonly env: Record<string, string | undefined>;
}

/**
 * Becomes the agent that is to run; resolves with what runs, which only this very executable is left to hear. Never rejects:
 * whatever is wrong with the disk ends with an agent, and with a note for its report.
 */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const { folder, packaged } = options;
  forgetTrial(options);
  const { slots, unreadable } = await readSlots(folder);
  const content = readContent(options, slots);
  const plan = planLaunch({ slots, content, packaged, schema: MIGRATIONS.length, ...(unreadable === undefined ? {} : { unreadable }) });
  const notes: LaunchNote[] = [...plan.notes];
  const counted = await writeDown(folder, plan, notes);
  for (const start of plan.starts) {
    if (start.kind === 'packaged') break;
    if (start.kind === 'trial' && !counted) continue;
    const error = become(options, start.slot, start.kind === 'trial' ? start.aliveSeconds : 0, notes);
    if (error === undefined) return launched(options, start.slot, notes);
    notes.push(error);
    // It will not start the next time either; a verdict that cannot be written is reached again then.
    if (start.kind === 'trial' && plan.write !== undefined) {
      await folder.write(refuseTrial(plan.write, error.code, error.message)).catch(() => undefined);
    }
  }
  return launched(options, 'packaged', notes);
}

async function readSlots(folder: SlotFolder): Promise<{ slots: Slots | undefined; unreadable?: LaunchNote }> {
  try {
    return { slots: await folder.read() };
  } catch (cause) {
    return { slots: undefined, unreadable: noteOf(cause) };
  }
}

function readContent({ folder, program }: LaunchOptions, slots: Slots | undefined): Partial<Record<SlotName, SlotContent>> {
  const named = slots === undefined ? new Set<SlotName>() : slotsInQuestion(slots);
  const content: Partial<Record<SlotName, SlotContent>> = {};
  for (const slot of SLOT_NAMES.filter((name) => named.has(name))) {
    try {
      content[slot] = { kind: 'file', digest: program.digestOf(folder.executable(slot)) };
    } catch (cause) {
      content[slot] = { kind: 'unreadable', message: asSkerryError(cause).message };
    }
  }
  return content;
}

/** True when the file says what the plan says. */
async function writeDown(folder: SlotFolder, { write, starts }: LaunchPlan, notes: LaunchNote[]): Promise<boolean> {
  if (write === undefined) return true;
  try {
    await folder.write(write);
    return true;
  } catch (cause) {
    // What is not on trial is started all the same.
    if (starts.some(({ kind }) => kind === 'trial')) {
      notes.push({ code: 'UPDATE_BOOT_NOT_COUNTED', message: `${folder.folder} cannot be written: ${asSkerryError(cause).message}` });
    }
    return false;
  }
}

/** Becomes the executable of a slot, or says why not. */
function become(options: LaunchOptions, slot: SlotName, aliveSeconds: number, notes: readonly LaunchNote[]): LaunchNote | undefined {
  const { program, folder, env, args } = options;
  try {
    env[LAUNCHED_VARIABLE] = JSON.stringify(launched(options, slot, notes));
    program.endAfter(aliveSeconds);
    program.replaceBy(folder.executable(slot), args);
    return undefined;
  } catch (cause) {
    disarm(program);
    delete env[LAUNCHED_VARIABLE];
    return { code: 'UPDATE_NOT_STARTED', message: `slot ${slot}: ${asSkerryError(cause).message}` };
  }
}

/** A release on trial that made room for this launcher left the kernel's timer running, which exec keeps: what is started now has its own, or none. */
function forgetTrial({ program, env }: LaunchOptions): void {
  if (env[LAUNCHED_VARIABLE] === undefined) return;
  disarm(program);
  delete env[LAUNCHED_VARIABLE];
}

function disarm(program: PackagedProgram): void {
  try {
    program.endAfter(0);
  } catch {
    // What could not be loaded to arm it cannot have armed it.
  }
}

function launched({ program, packaged }: LaunchOptions, runs: Launched['runs'], notes: readonly LaunchNote[]): Launched {
  return { launcher: program.file, packaged, natives: program.natives, schema: MIGRATIONS.length, runs, notes: [...notes] };
}

function noteOf(cause: unknown): LaunchNote {
  const { code, message } = asSkerryError(cause);
  return { code, message };
}
