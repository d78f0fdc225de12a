import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { APPLICATIONS } from '../client-files/applications/applications.ts'
import { loadFormat } from '../client-files/load-format.ts'
import { isOwnEntry } from '../client-files/own-entry.ts'
import { readRegularFile } from '../regular-file.ts'
import type { Application, ClientFile } from '../client-files/applications/application.ts'
import type { NamedEntry } from '../client-files/formats/format.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'
import type { World } from './world.ts'

/** Where a gateway listens that no configuration says anything of. */
const USUAL = { host: '127.0.0.1', port: 3333 }

/** Whether the entries of the gateway in client files still lead to a program. */
export async function checkApplications({ config, world }: Examination): Promise<Finding[]> {
  const address = config?.gateway.http ?? USUAL
  const found = await Promise.all(
    APPLICATIONS.flatMap(application =>
      distinct(application.files(world)).map(async file => {
        const entries = await entriesOf(file)
        return entries.flatMap(entry => brokenEntry(application, file, entry, address, world))
      }),
    ),
  )
  return found.flat()
}

/** In the home folder, a file of the project is that of the user. */
function distinct(files: readonly ClientFile[]): ClientFile[] {
  return files.filter(
    ({ file, section }, at) =>
      files.findIndex(other => other.file === file && other.section.path.join() === section.path.join()) ===
      at,
  )
}

/** Of a file that is not there, or cannot be read, none: that is the matter of its application. */
async function entriesOf({ file, section, syntax }: ClientFile): Promise<readonly NamedEntry[]> {
  try {
    const text = (await readRegularFile(file)).toString('utf8')
    return (await loadFormat(syntax)).entries(text, section)
  } catch {
    return []
  }
}

function brokenEntry(
  { id, title, read }: Application,
  { file }: ClientFile,
  { name, value }: NamedEntry,
  address: { readonly host: string; readonly port: number },
  world: World,
): Finding[] {
  const result = read(value)
  if ('left' in result || !isOwnEntry(result.entry, address)) return []
  const { command, args } = result.entry as { command?: string; args?: readonly string[] }
  const words = [command, ...(args ?? [])].filter(word => word !== undefined)
  // The program itself, and the script that it runs; not what follows an option.
  const paths = words.slice(0, 2).filter(word => isAbsolute(word))
  const gone = paths.find(path => !existsSync(path))
  if (gone === undefined) return []
  return [
    finding('entry_broken', {
      cause: `${title} starts the gateway by ${gone}, which does not exist any more: the entry ${JSON.stringify(name)} in ${file}.`,
      fix: 'Let the entry be written anew.',
      command: world.typed(`install ${id}`),
    }),
  ]
}
