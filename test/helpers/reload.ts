import { configFrom } from '../../src/config/load/load.ts'
import type { RunningGateway } from '../../src/gateway/gateway.ts'
import type { ReloadReport } from '../../src/gateway/reload-report.ts'

/** Has a gateway in this process take over a value in the form of servers.json; its port and state stay what they are. */
export async function reload(
  gateway: RunningGateway,
  file: { readonly gateway?: Readonly<Record<string, unknown>>; readonly [key: string]: unknown },
): Promise<ReloadReport> {
  const given = { ...file, gateway: { http: { port: 0 }, state: 'memory', ...file.gateway } }
  return await gateway.reload(await configFrom(given, { env: {} }))
}
