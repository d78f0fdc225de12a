import { spawn } from 'node:child_process'

/** What decides whether a person sits in front of this machine. */
export interface Terminal {
  readonly isTerminal: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Whether a browser that is opened here is in front of the person that runs the command. */
export function mayOpenBrowser({ isTerminal, env }: Terminal): boolean {
  const isSet = (name: string): boolean => (env[name] ?? '') !== ''
  return isTerminal && !isSet('CI') && !isSet('SSH_CONNECTION') && !isSet('SSH_TTY')
}

/**
 * The program that opens an address, with its arguments. None is a shell: an address holds characters that shells read,
 * and `cmd.exe` has no safe way to quote them.
 */
export function opener(url: string, platform: NodeJS.Platform): readonly [string, ...string[]] {
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler', url]
  return [platform === 'darwin' ? 'open' : 'xdg-open', url]
}

/** Opens an address in the browser of the user, if there is a program for it. Never fails. */
export function openBrowser(address: string): void {
  // The address that the URL parser writes has no spaces, quotes or control characters.
  const { protocol, href } = new URL(address)
  if (protocol !== 'https:' && protocol !== 'http:') return
  const [program, ...args] = opener(href, process.platform)
  const child = spawn(program, args, { stdio: 'ignore', detached: true, shell: false })
  child.on('error', () => undefined)
  child.unref()
}
