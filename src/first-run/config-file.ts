import { editText } from '../config/edit/edit-text.ts'
import { unmarked } from '../config/load/byte-order-mark.ts'
import { parseJsonc } from '../config/load/source-text.ts'
import { isNestedTooDeep } from '../config/load/nesting.ts'
import { HTTP } from '../config/options/gateway.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { shellWord } from '../core/shell-word.ts'
import { whyUnreadable } from '../regular-file.ts'
import { readContent } from './find.ts'
import type { ListenAddress } from '../config/validate/self-reference.ts'
import type { JsonObject } from '../core/exchange.ts'

/** The configuration of the gateway, into which servers are taken over. */
export interface OwnConfig {
  readonly file: string
  /** `undefined` when there is no such file. */
  readonly before: { readonly bytes: Buffer; readonly text: string; readonly hash: string } | undefined
  readonly value: JsonObject
  /** Its servers by name. */
  readonly servers: Readonly<Record<string, unknown>>
  readonly address: ListenAddress
  /** Whether callers over HTTP have to bring a key, and have no other way to say which client they are. */
  readonly asksForKey: boolean
}

/** @throws GatewayError `config` for a file that cannot be extended */
export async function readConfigFile(file: string): Promise<OwnConfig> {
  let before: OwnConfig['before']
  try {
    before = await readContent(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      throw new GatewayError('config', `The configuration ${file} was not read: ${whyUnreadable(error)}.`)
  }
  const value = before === undefined ? {} : valueOf(file, unmarked(before.text))
  const { mcpServers = {}, servers = {}, gateway } = value
  if (!isJsonObject(mcpServers) || !isJsonObject(servers))
    throw new GatewayError(
      'config',
      `The configuration ${file} has servers that are no object. Correct it first.`,
    )
  const http = isJsonObject(gateway) && isJsonObject(gateway['http']) ? gateway['http'] : {}
  const { host, port } = HTTP.options
  return {
    file,
    before,
    value,
    servers: { ...servers, ...mcpServers },
    address: {
      host: typeof http['host'] === 'string' ? http['host'] : String(host.default),
      port: typeof http['port'] === 'number' ? http['port'] : Number(port.default),
    },
    asksForKey: asksForKey(value),
  }
}

function asksForKey({ clients, gateway }: JsonObject): boolean {
  const auth = isJsonObject(gateway) && isJsonObject(gateway['auth']) ? gateway['auth'] : {}
  const hasClients = isJsonObject(clients) && Object.keys(clients).length > 0
  return hasClients && auth['jwt'] === undefined && auth['allowAnonymous'] !== true
}

function valueOf(file: string, text: string): JsonObject {
  if (text.trim() === '') return {}
  const fix = `Correct it first: mcp-manifold check ${shellWord(file)}`
  if (isNestedTooDeep(text))
    throw new GatewayError('config', `The configuration ${file} is nested too deep. ${fix}`)
  const { value, problem } = parseJsonc(text)
  if (problem) throw new GatewayError('config', `The configuration ${file} ${problem.cause}. ${fix}`)
  if (!isJsonObject(value)) throw new GatewayError('config', `The configuration ${file} is no object. ${fix}`)
  return value
}

/** The text of the configuration with more servers. What is there stays as it is written. */
export function withServers(config: OwnConfig, added: Readonly<Record<string, JsonObject>>): string {
  const { before, value } = config
  const own = isJsonObject(value['mcpServers']) ? value['mcpServers'] : {}
  const after = { ...value, mcpServers: { ...own, ...added } }
  if (before === undefined || unmarked(before.text).trim() === '')
    return `${JSON.stringify(after, undefined, 2)}\n`
  return editText(before.text, after)
}
