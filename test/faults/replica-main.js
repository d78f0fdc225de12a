// @ts-check
/**
 * A replica in a process of its own:
 *
 *   node replica-main.js --era legacy|modern --transport stdio|http --name <name> --ledger <directory> [--port 0] [--latency 0] [--standby]
 *
 * Over HTTP it tells its parent the port, over IPC or else as a line on stdout. With `--standby` it listens only when its parent sends a message.
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { Ledger } from './ledger.js'
import { HttpReplica } from './replica-http.js'
import { serveStdio } from './replica-stdio.js'

const { values } = parseArgs({
  options: {
    era: { type: 'string', default: 'legacy' },
    transport: { type: 'string', default: 'stdio' },
    name: { type: 'string', default: '' },
    ledger: { type: 'string', default: '' },
    port: { type: 'string', default: '0' },
    latency: { type: 'string', default: '0' },
    standby: { type: 'boolean', default: false },
  },
})

const ledger = new Ledger(values.ledger)
const era = values.era === 'modern' ? 'modern' : 'legacy'
const { name } = values
ledger.started(name)
if (ledger.startsBroken(name)) {
  console.error('There is no database.')
  process.exit(1)
}
const latencyMs = Number(values.latency)
if (values.transport === 'stdio') serveStdio({ era, name, ledger, latencyMs })
else {
  if (values.standby) {
    process.send?.('standing by')
    await once(process, 'message')
  }
  const replica = new HttpReplica({ era, name, ledger, latencyMs, port: Number(values.port) })
  await replica.listen()
  process.send?.({ url: replica.url })
}
// The process that started it may be gone.
process.on('disconnect', () => process.exit(0))
