import { absolutePath } from '../paths.ts'
import { fixOf, utf8Of } from './utf8.ts'
import { whyUnreadable } from '../../regular-file.ts'
import type { FilesRead } from './files-read.ts'
import type { Path, Problem } from '../problem.ts'
import type { ServersFile } from '../options/file.ts'

export interface EnvFiles {
  /** Variables by absolute path of the file. */
  readonly values: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly problems: readonly Problem[]
}

interface EnvFilesContext {
  readonly files: FilesRead
  readonly home: string
  /** Base folder of the relative paths of an entry. */
  readonly folderOf: (path: Path) => string
}

/**
 * Reads every `envFile` of a valid configuration. Lines are `NAME=value`; comments, quotes and `export` are supported.
 */
export async function readEnvFiles(
  file: ServersFile,
  { files, home, folderOf }: EnvFilesContext,
): Promise<EnvFiles> {
  const values = new Map<string, Record<string, string>>()
  const problems: Problem[] = []
  for (const [name, path] of mentioned(file)) {
    const folder = folderOf(path)
    const absolute = absolutePath(name, folder, home)
    if (values.has(absolute)) continue
    try {
      const text = utf8Of(await files.read(absolute))
      const { parseEnv } = await import('node:util')
      values.set(absolute, parseEnv(text) as Record<string, string>)
    } catch (error) {
      const fix = fixOf(error, `Relative paths start at ${folder}.`)
      problems.push({ path, cause: whyUnreadable(error), fix })
    }
  }
  return { values, problems }
}

function mentioned(file: ServersFile): [string, Path][] {
  const found: [string, Path][] = []
  for (const root of ['mcpServers', 'servers'] as const) {
    for (const [name, server] of Object.entries(file[root] ?? {})) {
      if (server.envFile !== undefined) found.push([server.envFile, [root, name, 'envFile']])
      server.replicas?.forEach(({ envFile }, at) => {
        if (envFile !== undefined) found.push([envFile, [root, name, 'replicas', at, 'envFile']])
      })
    }
  }
  return found
}
