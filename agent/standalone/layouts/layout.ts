import type { Digest } from '#shared/bundle/names.js';

/** The file of a version, and a mark that changes with it. */
export interface ModelFile {
  readonly version: number;
  readonly file: string;
  readonly mark: Digest;
}

/** What lies in a model's folder, whatever its layout. */
export interface ModelFolder {
  readonly name: string;
  readonly folder: string;
  /** Text of config.pbtxt, where there is one. */
  readonly config: string | undefined;
  /** Numbers of the versions. */
  readonly versions: readonly number[];
  /** Folders beside the versions whose names are no versions. */
  readonly skipped: readonly string[];
  /** Text of the file that says which versions labels stand for, where there is one. */
  readonly labels: string | undefined;
  /** Changes with everything in the folder; contents of files are not read. */
  mark(): Promise<string>;
  /**
   * The model file of a version: the one of this name, or what is there where no name was given. Errors: `STANDALONE_FOLDER`,
   * `STANDALONE_UNSUPPORTED` for what is a model of another kind.
   */
  fileOf(version: number, name: string | undefined): Promise<ModelFile>;
  /** Text of a file in the folder. Errors: `STANDALONE_FOLDER`, `INPUT_TOO_LARGE`. */
  text(name: string): Promise<string>;
}

/** Where models come from. */
export interface ModelSource {
  /** What it is, for people. */
  readonly what: string;
  /** Absolute paths of the folders that its models lie in. */
  readonly folders: readonly string[];
  /** Names of the models that are there now. */
  names(): Promise<readonly string[]>;
  /** The model, or undefined where there is none of this name. Errors: `STANDALONE_FOLDER`, `STANDALONE_UNSUPPORTED`, `IO_FAILED`. */
  read(name: string): Promise<ModelFolder | undefined>;
}
