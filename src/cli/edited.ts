import { homedir } from 'node:os'
import { findConfigFile } from '../config/load/load.ts'
import { candidateFiles } from '../config/paths.ts'
import { GatewayError } from '../core/errors.ts'
import { adminSocketFolder } from './admin.ts'
import { reloadAll, reloadedText, type GatewayReload } from './reload.ts'
import { typed } from './this-program.ts'
import { whileWaiting } from './waiting.ts'
import type { CommonOptions } from './common-options.ts'

/** Options of the commands that change the file. */
export interface EditOptions extends CommonOptions {
  readonly json?: boolean
}

/** The file that a server is added to: the one that commands read, or a new one of the user. */
export async function fileToEdit({ config }: CommonOptions): Promise<string> {
  try {
    return await findConfigFile({ file: config })
  } catch (error) {
    const own = candidateFiles(process.cwd(), homedir(), process.env).at(-1)
    if (own === undefined || !(error instanceof GatewayError)) throw error
    return own
  }
}

/** What a command has done to the file. */
export interface Edited {
  readonly file: string
  readonly server: string
  /** Whether the file is another one now. */
  readonly changed: boolean
  /** One sentence for a person. */
  readonly said: string
  /** What is left to do, each a sentence. */
  readonly left?: readonly string[]
}

/** Has the running gateways of the file take it over, and says what became of it. Exit code 1 when one could not. */
export async function tell({ json }: EditOptions, edited: Edited): Promise<void> {
  const { file, changed, said, left = [] } = edited
  const gateways = changed ? await whileWaiting('Waiting for the running gateways', takenOver(file)) : []
  if (gateways.some(({ problem }) => problem !== undefined)) process.exitCode = 1
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...edited, left, gateways }, undefined, 2)}\n`)
    return
  }
  const lines = [said, ...gateways.map(reloadedText), ...left]
  if (changed && gateways.length === 0)
    lines.push(`No gateway runs with this file; the next one has it: ${typed('serve', file)}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}

async function takenOver(file: string): Promise<readonly GatewayReload[]> {
  const { findGateways } = await import('../admin/socket-files.ts')
  return await reloadAll(await findGateways(await adminSocketFolder(), file), false)
}
