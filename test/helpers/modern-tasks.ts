import { TASKS } from '../../src/protocol/capabilities.ts'
import { toolText, type ScriptedRequest, type ScriptedServer } from './scripted-servers.ts'
import { withEnvelope } from './wire-clients.ts'

/** Turns a scripted server into one of revision 2026-07-28 with the tasks extension and these tools. */
export function servingTasks<T extends ScriptedServer>(server: T, ...tools: readonly string[]): T {
  server.results.set(
    'server/discover',
    `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"${TASKS}":{}}},"ttlMs":0,"cacheScope":"private"}`,
  )
  server.results.delete('initialize')
  server.results.set(
    'tools/list',
    `{"resultType":"complete","tools":[${tools.map(tool => toolText(tool)).join(',')}],"ttlMs":0,"cacheScope":"private"}`,
  )
  return server
}

/** Members of a task in an answer or a notification. */
export const taskMembers = (id: string, status: string, more = ''): string =>
  `"taskId":"${id}","status":"${status}","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000,"pollIntervalMs":50${more}`

/** Params of a client with the tasks extension, and with more capabilities: members, each with a comma behind it. */
export const withTasksExtension = (params = '{}', more = ''): string =>
  withEnvelope(params).replace(
    '/clientCapabilities":{}',
    `/clientCapabilities":{${more}"extensions":{"${TASKS}":{}}}`,
  )

/** `_meta` of what a server sends on a listen stream. */
export const streamMeta = ({ id }: ScriptedRequest): string =>
  `"_meta":{"io.modelcontextprotocol/subscriptionId":${id}}`

/** Promises reports of these tasks on a listen stream. */
export function acknowledgeTasks(stream: ScriptedRequest, ...ids: readonly string[]): void {
  const notifications = JSON.stringify({ taskIds: ids })
  stream.say(
    `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":${notifications},${streamMeta(stream)}}}`,
  )
}
