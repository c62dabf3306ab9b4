import { defineCodes } from './define.js';

export const packagingCodes = defineCodes({
  NATIVE_HOME_UNKNOWN: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'A native library is needed before the program said which data folder it works in.',
    action: 'Report it with the command that was run.',
  },
  NATIVE_UNWRITABLE: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The native libraries inside the program could not be unpacked into the data folder.',
    action: 'Give the program a data folder on a disk it may write to; once unpacked, a read-only disk will do.',
  },
  NATIVE_DAMAGED: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'A native library is not what the program was built with, in the program itself or after it was unpacked again.',
    action: 'Install the program again; if it repeats, the disk is failing.',
  },
  NATIVE_REFUSED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The system refused to load an unpacked native library.',
    action: 'Look whether the data folder is on a disk mounted noexec, and whether the system has glibc 2.28 or newer.',
  },
  PACKAGE_USAGE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A package that cannot be built here was asked for.',
    action: 'See npm run package -- --help for what can be built on which system.',
  },
  PACKAGE_PART_MISSING: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A package for another system needs parts that neither npm nor this machine has.',
    action: 'The message lists each part with where it comes from; packaging/README.md has a section for macOS and Windows.',
  },
  PACKAGE_INTEGRITY: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'A part fetched for the package has another digest than the one the project pins.',
    action: 'Do not ship it; fetch again, and find out who changed the part if it repeats.',
  },
  PACKAGE_STEP_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A tool that builds the package failed or is missing.',
    action: 'Read its output in the message; test/install-system.sh names the tools needed.',
  },
  PACKAGE_SOURCE_CHANGED: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'A dependency no longer looks the way the packaging knows it.',
    action: 'Look at what the message names, and adapt packaging/build/bundle.ts.',
  },
});
