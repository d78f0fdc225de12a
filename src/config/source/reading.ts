import { describeError } from '../../core/errors.ts'
import { FilesRead, type FileMark } from '../load/files-read.ts'
import { loadText, loadWithSource } from '../load/load.ts'
import { keepOutputs, keptOutputs, type KeptOutput } from '../../kept-outputs.ts'
import { knownValid } from './known-valid.ts'
import type { Overrides } from '../resolve/environment.ts'
import type { ConfigReading } from './config-source.ts'

export interface ReadRequest {
  /** Absolute path. */
  readonly file: string
  readonly overrides: Overrides
  /** Replaces the content of the file; without a byte order mark. */
  readonly text?: string
  /** What programs of secrets printed earlier, in other threads. */
  readonly outputs?: readonly KeptOutput[]
}

/** A reading, and the files it was made from. */
export interface FileReading {
  readonly reading: ConfigReading
  readonly marks: readonly FileMark[]
  readonly outputs?: readonly KeptOutput[]
}

/** Loads a configuration in this thread. Never rejects. */
export async function readConfig({ file, overrides, text, outputs }: ReadRequest): Promise<FileReading> {
  const files = new FilesRead()
  keepOutputs(outputs ?? [])
  const reading = await (async () => {
    try {
      const options = { file, overrides, files, isReadAgain: true, ...knownValid() }
      const { config, problems } = await (text === undefined
        ? loadWithSource(options)
        : loadText(text, options))
      return { digest: files.digest, config, problems }
    } catch (error) {
      return { digest: files.digest, problem: describeError(error) }
    }
  })()
  return { reading, marks: files.marks, outputs: keptOutputs() }
}
