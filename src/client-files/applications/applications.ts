import { OTHERS } from './others.ts'
import { STANDARD } from './standard.ts'
import type { Application } from './application.ts'

/** All applications, in the order of their names. */
export const APPLICATIONS: readonly Application[] = [...STANDARD, ...OTHERS].sort((a, b) =>
  a.title.localeCompare(b.title, 'en'),
)

/** The application of an id, or of another name for it. */
export function applicationOf(name: string): Application | undefined {
  const word = name.toLowerCase().replace(/[ _]/g, '-')
  return APPLICATIONS.find(({ id, aliases }) => id === word || aliases?.includes(word))
}
