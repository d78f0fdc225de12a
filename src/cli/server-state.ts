import { shellWord } from '../core/shell-word.ts'
import type { ShownServer } from './running-gateways.ts'
import type { Cell } from './table.ts'
import type { Colour } from './terminal.ts'

/** What a state means to a person, and what to do. */

const COLOURS: Readonly<Record<string, Colour>> = {
  ready: 'green',
  idle: 'dim',
  'not running': 'dim',
  disabled: 'dim',
  starting: 'yellow',
  drained: 'yellow',
  needs_login: 'yellow',
  degraded: 'yellow',
  failed: 'red',
  stopped: 'red',
  ejected: 'red',
  'left out': 'red',
}

export function stateCell(state: string): Cell {
  return { text: state, colour: COLOURS[state] }
}

/** The command that helps with a server in this state; `undefined` when nothing has to be done. */
export function nextStep({ name, state }: Pick<ShownServer, 'name' | 'state'>): string | undefined {
  const quoted = shellWord(name)
  switch (state) {
    case 'needs_login':
      return `mcp-manifold login ${quoted}`
    case 'failed':
    case 'stopped':
      return `mcp-manifold logs ${quoted}, then mcp-manifold restart ${quoted}`
    case 'drained':
      return `mcp-manifold drain ${quoted} --undo`
    default:
      return undefined
  }
}

/** How long ago, in one unit. */
export function agoText(sinceMs: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - sinceMs) / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}
