import { defineCodes } from './define.js';

export const updateCodes = defineCodes({
  UPDATE_SLOTS_INVALID: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'The slot file, which names the release of the agent to run, is unreadable. The packaged release runs.',
    action: 'Check the disk. The wanted release is fetched and retried automatically.',
  },
  UPDATE_FILE_DAMAGED: {
    fault: 'environment',
    status: 'DATA_LOSS',
    summary: 'The executable of a release is missing or does not match its digest.',
    action: 'Check the disk. A good release is fetched again automatically. For one on trial, deploy again with --retry.',
  },
  UPDATE_NOT_STARTED: {
    fault: 'peer',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The operating system refused to start the executable of a release.',
    action:
      'Check the reason in the message: another processor, a file system mounted noexec, a missing library. Publish a release that starts.',
  },
  UPDATE_BOOT_NOT_COUNTED: {
    fault: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    http: 507,
    summary: 'A release on trial was not started, because the boot counter could not be written to the disk.',
    action: 'Free disk space, or make the data folder writable. The device retries automatically.',
  },
  UPDATE_EXITED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'A release on trial exited or hung repeatedly. The device rolled back.',
    action: 'Find its last lines in the log of the device. Publish a corrected release.',
  },
  UPDATE_CRASH_LOOP: {
    fault: 'environment',
    status: 'INTERNAL',
    summary: 'A good release exited on twenty starts in a row. The device rolled back to another release.',
    action:
      'Find its last lines in the log of the device, and what changed there (disk, date, drivers). Deploy again with --retry, or deploy another release.',
  },
  UPDATE_NOT_CONNECTED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'A release on trial did not reach the hub in time, although the previous one was connected. The device rolled back.',
    action: 'If the hub or its network was down at that time, deploy again with --retry. Otherwise publish a corrected release.',
  },
  UPDATE_MODELS_FAILED: {
    fault: 'peer',
    status: 'INTERNAL',
    summary: 'A release on trial did not serve all models that the previous one served. The device rolled back.',
    action: 'Check the events of the device for the failures of the models. Publish a corrected release.',
  },
  UPDATE_UNSUPPORTED: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'This agent cannot replace itself: it runs from source, or was not started by `skerry-agent launch`.',
    action: 'Install the package, whose service starts the launcher, or update the agent the way it was installed.',
  },
  UPDATE_NO_VARIANT: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    http: 422,
    summary: 'The release has no executable for the operating system and processor of this device.',
    action: 'Publish the release with an executable for this platform, or deploy it to other devices.',
  },
  UPDATE_CANNOT_TAKE_OVER: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'The release cannot take over the data of the running release.',
    action: 'Deploy a release between the two first.',
  },
  UPDATE_CANNOT_ROLL_BACK: {
    fault: 'caller',
    status: 'FAILED_PRECONDITION',
    summary: 'No release of the agent is deployed any longer, but the packaged one cannot read the current data. The release stays.',
    action: 'Deploy a release that reads this data, or install a newer package.',
  },
  UPDATE_NO_PROGRESS: {
    fault: 'ours',
    status: 'INTERNAL',
    summary: 'The launcher never started the release. It was quarantined.',
    action: 'Report it as a bug, with the events of the device. Deploy again with --retry to try once more.',
  },
});
