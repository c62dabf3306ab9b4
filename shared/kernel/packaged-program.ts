/** What a program that is one file can do with itself, and one that runs from a checkout cannot. */
export interface PackagedProgram {
  /** The executable that runs. */
  readonly file: string;
  /** Digest of its native libraries: the name of the folder they are unpacked into. */
  readonly natives: string;
  /**
   * Makes this process another program, under the same process number; `args` without the name of the program. Returns only
   * by throwing: `NATIVE_*`, or `IO_FAILED` when the system refuses.
   */
  replaceBy(file: string, args: readonly string[]): void;
  /**
   * Has the kernel end this process after whole seconds, also when it has become another program by then or hangs; 0 takes
   * that back. Throws `NATIVE_*`.
   */
  endAfter(seconds: number): void;
  /**
   * SHA-256 of a file, hex; of an executable that may be started next, so it is read in the parts it will be used in. Blocks.
   * Throws Node's own error (`ENOENT`, ...).
   */
  digestOf(file: string): string;
  /** Whether the engine takes what was compiled when the executable was built; `none`: it was built without, for another system. */
  codeCache(): 'used' | 'refused' | 'none';
  /** Removes the unpacked native libraries of other programs, except those with these digests. What cannot be removed stays. */
  sweepNatives(keep: ReadonlySet<string>): void;
}

/** The program as one file; from source there is none: `undefined`. A single-file build puts a module in this one's place. */
export function packagedProgram(): PackagedProgram | undefined {
  return undefined;
}
