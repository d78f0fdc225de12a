import { runEnable } from './enable.ts'
import type { EditOptions } from './edited.ts'

/** `disable`: as `enable`, the other way. @throws GatewayError `config` */
export async function runDisable(server: string, options: EditOptions): Promise<void> {
  await runEnable(server, false, options)
}
