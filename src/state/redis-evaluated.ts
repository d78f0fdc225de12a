import { createHash } from 'node:crypto'
import { BEGIN, HOLD, SET_HELD, TAKE } from './redis-scripts.ts'
import { DELETE, ENTER, SIZE } from './redis-zones.ts'

/** A script and the name under which Redis caches it once evaluated. */
export interface Script {
  readonly text: string
  readonly sha: string
}

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') })

export const SCRIPTS = {
  begin: script(BEGIN),
  take: script(TAKE),
  hold: script(HOLD),
  setHeld: script(SET_HELD),
  enter: script(ENTER),
  delete: script(DELETE),
  size: script(SIZE),
}
