import { defineCodes } from './define.js';

export const packagingCodes = defineCodes({
  NATIVE_FOLDER_UNKNOWN: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'A native library is needed before the program knows its data folder.',
    action: 'Report it as a bug, with the command that was run.',
  },
  NATIVE_UNWRITABLE: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The native libraries could not be unpacked into the data folder.',
    action: 'Use a data folder on a writable disk. Once unpacked, a read-only disk suffices.',
  },
  NATIVE_DAMAGED: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'A native library does not match its digest, in the program or after unpacking.',
    action: 'Install the program again. If it repeats, the disk is failing.',
  },
  NATIVE_REFUSED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The system refused to load an unpacked native library.',
    action: 'Check whether the data folder is mounted noexec, and whether the system has glibc 2.28 or newer.',
  },
  PACKAGE_USAGE: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'The requested package cannot be built here.',
    action: 'Run `npm run package -- --help` to see what each system can build.',
  },
  PACKAGE_PART_MISSING: {
    fault: 'caller',
    status: 'INVALID_ARGUMENT',
    summary: 'A package for another system needs parts that neither npm nor this machine has.',
    action: 'Get the parts from the sources that the message lists. packaging/README.md has a section for macOS and Windows.',
  },
  PACKAGE_INTEGRITY: {
    fault: 'peer',
    status: 'UNAVAILABLE',
    http: 502,
    summary: 'A part fetched for the package does not match the pinned digest.',
    action: 'Do not ship it. Fetch it again; if it repeats, find out who changed it.',
  },
  PACKAGE_STEP_FAILED: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A tool that builds the package failed or is missing.',
    action: 'Read its output in the message. test/install-system.sh names the required tools.',
  },
  PACKAGE_SOURCE_CHANGED: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'The source of a dependency differs from what the packaging expects.',
    action: 'Adapt packaging/build/bundle.ts to what the message names.',
  },
});
