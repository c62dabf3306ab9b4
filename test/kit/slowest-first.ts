import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders whose files take longest come first, so that no worker waits at the end for one that began late. `.ci/run` prints the times. */
const ORDER = ['test/e2e/', 'test/packaging/', 'test/story/', 'test/docs/', 'test/integration/', 'test/property/'];

export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = ORDER.findIndex((folder) => moduleId.includes(`/${folder}`));
      return at === -1 ? ORDER.length : at;
    };
    // Within a folder as the runner does: by the times of the run before, else by size.
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
