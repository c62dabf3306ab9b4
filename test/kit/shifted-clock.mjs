// Preloaded (`--import`) into a process whose wall clock a test sets: `Date` is off by what the file CLOCK_SHIFT_FILE says,
// in milliseconds, read again at every SIGUSR2. The monotonic clock is left alone, as when somebody sets the time.
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.CLOCK_SHIFT_FILE ?? '';
const RealDate = Date;
let shift = 0;

function read() {
  shift = Number(readFileSync(file, 'utf8'));
}

class ShiftedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shift);
    else super(...args);
  }

  static now() {
    return RealDate.now() + shift;
  }
}

read();
globalThis.Date = ShiftedDate;
if (isMainThread) process.on('SIGUSR2', read);
