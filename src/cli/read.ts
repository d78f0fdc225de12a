import { isJsonObject } from '../core/json-object.ts'
import { resourceText } from './content.ts'
import { AT_TERMINAL } from './hearing.ts'
import { assertServer, loadForCommand, withGateway, type ReachOptions } from './reach.ts'
import { shownText } from './terminal.ts'
import { whileWaiting } from './waiting.ts'

export interface ReadOptions extends ReachOptions {
  readonly server?: string
  readonly json?: boolean
}

/**
 * `read`: prints a resource.
 * @throws GatewayError
 */
export async function runRead(uri: string, options: ReadOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  const { server } = options
  if (server !== undefined) assertServer(server, loaded)
  const { value, text } = await whileWaiting(
    `Reading ${uri}`,
    withGateway(loaded, options, { server, hearing: AT_TERMINAL }, ({ client, cancelled }) =>
      client.request('resources/read', { uri }, cancelled),
    ),
  )
  if (options.json) return void process.stdout.write(`${text}\n`)
  const { contents } = value
  const parts = (Array.isArray(contents) ? contents : []).filter(isJsonObject).map(resourceText)
  process.stdout.write(`${shownText(parts.join('\n'))}\n`)
}
