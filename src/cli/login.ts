import { createInterface } from 'node:readline'
import { loadConfigFile } from '../config/load/load.ts'
import { UNHEARD } from '../core/event-bus.ts'
import { shellWord } from '../core/shell-word.ts'
import type { JsonOptions } from './common-options.ts'
import { Credentials } from '../credentials/accounts/credentials.ts'
import { usedBy } from '../credentials/login/login-about.ts'
import { Logins } from '../credentials/login/logins.ts'
import type { PendingLogin } from '../credentials/login/pending-login.ts'
import type { LoginWording } from '../credentials/login/wording.ts'
import { noPersonFor, ownerGiven, serverWithLogin } from './login-owner.ts'
import { mayOpenBrowser, openBrowser } from './open-browser.ts'
import { pastedQuery } from './pasted.ts'
import { printJsonLine, say } from './say.ts'
import { readToken } from './token-stdin.ts'
import { withVault } from './with-vault.ts'

export interface LoginCommandOptions extends JsonOptions {
  readonly client?: string
  readonly device?: boolean
  /** Default true. */
  readonly browser?: boolean
  readonly tokenStdin?: boolean
}

/** How long the command waits for the person. */
const WAIT_MS = 5 * 60_000

/** `login`: logs in at a server for the gateways that share the state, and waits until that is done. */
export async function runLogin(name: string, options: LoginCommandOptions): Promise<void> {
  const config = await loadConfigFile({ file: options.config })
  const server = serverWithLogin(config, name)
  const needless = noPersonFor(server)
  const tell = (event: string, about: object, ...lines: readonly string[]): void => {
    if (options.json) printJsonLine({ event, server: name, ...about })
    else say(...lines)
  }
  if (needless !== undefined) return tell('needless', { reason: needless }, needless)
  const owner = ownerGiven(config, server, options.client)
  await withVault(
    config,
    async ({ vault, logger }) => {
      if (options.tokenStdin === true) {
        const value = await readToken(server)
        await vault.write(
          { kind: 'tokens', server: name, owner },
          { issuer: value.issuer, value: value.tokens },
        )
        return tell('kept', { owner }, `The token is kept for server "${name}": ${usedBy(owner)}.`)
      }
      const dns = () => config.gateway.dns
      const credentials = new Credentials({ servers: [server], vault, logger, events: UNHEARD, dns })
      const logins = new Logins({
        authorizer: credentials.authorizer,
        vault,
        events: UNHEARD,
        logger,
        hosted: () => undefined,
        lifeMs: WAIT_MS,
        wording: wordingOf(name, options.client),
      })
      try {
        await completed(logins, await logins.begin(server, owner, options.device), options)
        tell('logged_in', { owner }, `You are logged in to server "${name}". It is used by ${usedBy(owner)}.`)
      } finally {
        logins.close()
        credentials.close()
      }
    },
    options.log,
  )
}

function wordingOf(name: string, client: string | undefined): LoginWording {
  const again = `Run "mcp-manifold login ${shellWord(name)}${client === undefined ? '' : ` --client ${shellWord(client)}`}" again.`
  return { again, retry: again, backTo: 'the terminal' }
}

/** Shows the address, and waits for the browser or for what is pasted, whichever comes first. */
async function completed(
  logins: Logins,
  { url, code, done }: PendingLogin,
  { browser = true, json = false }: LoginCommandOptions,
): Promise<void> {
  if (json) printJsonLine({ event: 'address', url, ...(code !== undefined && { code }) })
  const isTerminal = process.stdin.isTTY && process.stderr.isTTY
  const opens = browser && mayOpenBrowser({ isTerminal, env: process.env })
  say(opens ? 'A browser opens with this address:' : 'Open this address in a browser:', '', `  ${url}`, '')
  if (code !== undefined) say(`Enter this code there: ${code}`)
  else
    say(
      'If the browser is on another machine, it ends at a page that cannot be opened. Paste the address of that page here.',
    )
  if (opens) openBrowser(url)
  const lines = code === undefined ? createInterface({ input: process.stdin, terminal: false }) : undefined
  lines?.on('line', line => void pasted(logins, line))
  // A device login has no listener, and its own timers do not keep the process.
  const alive = setTimeout(() => undefined, WAIT_MS * 2)
  try {
    await done
  } finally {
    clearTimeout(alive)
    lines?.close()
    // A terminal that is read from would keep the process.
    process.stdin.unref?.()
  }
}

async function pasted(logins: Logins, line: string): Promise<void> {
  if (line.trim() === '') return
  const query = pastedQuery(line)
  if (!query)
    return say(
      'That is no address of the end of the login: it has no "code" and "state". Copy the whole address.',
    )
  const { status } = await logins.callback({ query, browser: undefined })
  if (status === 404 || status === 409 || status === 410)
    say(
      'That address belongs to another login, or was used before. Use the address above, and paste its end.',
    )
}
