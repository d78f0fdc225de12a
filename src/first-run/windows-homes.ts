import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { APPLICATIONS } from '../client-files/applications/applications.ts'
import type { Machine } from '../client-files/applications/application.ts'

/** Where Windows is mounted in WSL. */
const MOUNTED = '/mnt/c/Users'
const MOST = 50

/**
 * Client files of Windows that are seen from WSL. Their programs are those of Windows, so they stay as they are: the
 * command has to run there.
 */
export function windowsFiles({ platform, env }: Machine, mounted = MOUNTED): string[] {
  if (platform !== 'linux' || env['WSL_DISTRO_NAME'] === undefined) return []
  let users: string[] = []
  try {
    users = readdirSync(mounted).slice(0, MOST)
  } catch {
    return []
  }
  return users
    .filter(name => !/^(?:Public|Default|Default User|All Users)$|\.ini$/i.test(name))
    .flatMap(name => {
      const home = join(mounted, name)
      const machine: Machine = { platform: 'win32', home, env: {}, cwd: home }
      const files = APPLICATIONS.flatMap(application => application.files(machine))
      return files.filter(({ scope, file }) => scope === 'user' && existsSync(file)).map(({ file }) => file)
    })
}
