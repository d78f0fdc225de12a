import { homedir } from 'node:os'
import { APPLICATIONS, applicationOf } from '../client-files/applications/applications.ts'
import { absolutePath, candidateFiles, stateFolder } from '../config/paths.ts'
import { notThere } from './not-there.ts'
import type { Application, Machine } from '../client-files/applications/application.ts'

/** The machine that a command runs on. */
export function thisMachine(): Machine {
  return { platform: process.platform, home: homedir(), env: process.env, cwd: process.cwd() }
}

/** Where records of changed files are. */
export function recordsFolder({ home, env, platform }: Machine): string {
  return stateFolder(home, env, platform)
}

/** The configuration that a first run writes: the one that is named, else that of the user. */
export function ownConfigFile(named: string | undefined, { home, env, cwd }: Machine): string {
  if (named !== undefined) return absolutePath(named, cwd, home)
  return candidateFiles(cwd, home, env).at(-1) as string
}

/** @throws GatewayError `config` with the nearest name */
export function applicationNamed(name: string): Application {
  const found = applicationOf(name)
  if (found) return found
  throw notThere(
    quoted => `There is no application ${quoted}`,
    name,
    APPLICATIONS.map(({ id }) => id),
  )
}

/** A path as people know it, with `~` for the home directory. */
export function shownPath(path: string, { home }: Pick<Machine, 'home'>): string {
  return path.startsWith(`${home}/`) || path.startsWith(`${home}\\`) ? `~${path.slice(home.length)}` : path
}
