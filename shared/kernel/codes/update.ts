import { defineCodes } from './define.js';

export const updateCodes = defineCodes({
  UPDATE_SLOTS_INVALID: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The file that says which release of the agent runs could not be read; the one that came with the package runs.',
    action: 'Check the disk. The wanted release is fetched and tried again by itself.',
  },
  UPDATE_FILE_DAMAGED: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'The executable of a release is missing or no longer has the digest it was stored with.',
    action: 'Check the disk. A release that was good is fetched again by itself; for one on trial deploy again with a new attempt.',
  },
  UPDATE_NOT_STARTED: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The operating system refused to start the executable of a release.',
    action:
      'Look at the reason: another processor, a file system that allows no programs, a missing library. Publish a release that starts.',
  },
  UPDATE_NOT_COUNTED: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'A release on trial was not started, because its start could not be counted on the disk.',
    action: 'Free space, or make the data folder writable; it is tried again by itself.',
  },
  UPDATE_ENDED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'A release ended, or hung and was ended, again and again before it was known to be good; the device went back.',
    action: 'Look for its last lines in the log of the device; publish a corrected release.',
  },
  UPDATE_KEPT_ENDING: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A release that had been good ended each time it was started, twenty times; the device left it for what else it has.',
    action:
      'Look for its last lines in the log of the device and for what changed there (disk, date, drivers); deploy again with a new attempt, or another release.',
  },
  UPDATE_NOT_CONNECTED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'The release before it was connected, this one had no word from the hub within the time it is given; the device went back.',
    action:
      'See whether the hub or its network was away at that time: then deploy again with a new attempt. Otherwise publish a corrected release.',
  },
  UPDATE_MODELS_FAILED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'Models that the release before it served were not served by this one within the time it is given; the device went back.',
    action: 'Look at the events of the device for what the models failed at; publish a corrected release.',
  },
  UPDATE_NOT_ABLE: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'This agent can not replace itself: it runs from source, or was not started by `skerry-agent launch`.',
    action: 'Install the package, whose service starts the launcher, or update it the way it was installed.',
  },
  UPDATE_NO_VARIANT: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The release has no executable for the operating system and processor of this device.',
    action: 'Publish the release with one for it, or deploy it to other devices.',
  },
  UPDATE_TAKES_NOT_OVER: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The release can not take over the state of the one that runs here.',
    action: 'Deploy a release between the two first.',
  },
  UPDATE_NO_WAY_BACK: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'No release of the agent is wanted any more, but the packaged one could not read the state that is here: the release stays.',
    action: 'Deploy a release that knows this state, or install a newer package.',
  },
  UPDATE_LOOP: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'Handing over to the release never led to its start, and it was given up.',
    action: 'Report it with the events of the device; deploy again with a new attempt to try once more.',
  },
});
