import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { EventType } from '../../../src/core/events.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { Audit } from '../../../src/observe/audit.ts'
import { DebugTrace } from '../../../src/observe/debug-trace.ts'
import { EventQueue } from '../../../src/observe/event-queue.ts'
import { renderRecord } from '../../../src/observe/record.ts'
import { describeListener } from '../../contract/event-listener.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { EVENT_TYPES } from '../../../src/core/event-bus.ts'

describeListener('the audit log', {
  writes: [
    'request.ended',
    'access.refused',
    'credential.login_began',
    'credential.login_ended',
    'credential.renewed',
    'credential.refused',
    'admin.acted',
  ],
  attach(bus, broken) {
    const scratch = makeScratch()
    onTestFinished(() => scratch[Symbol.asyncDispose]())
    // A folder has the place of the file.
    const file = broken ? scratch.path : join(scratch.path, 'audit.jsonl')
    const audit = new Audit({ file, args: 'full', maxBytes: 1e9, maxFiles: 2, logger: SILENT })
    const detach = audit.listen(bus)
    let closed: Promise<void> | undefined
    const close = (): Promise<void> => (closed ??= audit.close())
    const written = async (): Promise<string> => {
      await close()
      return existsSync(file) ? readFileSync(file, 'utf8') : ''
    }
    return { detach, close, written }
  },
})

describeListener('the debug log', {
  writes: ['request.began', 'request.ended', 'session.opened', 'session.closed'] satisfies EventType[],
  attach(bus, broken) {
    const lines: string[] = []
    const logger = {
      ...SILENT,
      debug: (message: string, fields = {}) => {
        if (broken) throw new Error('full')
        lines.push(renderRecord({ time: new Date(), level: 'debug', message, fields }, 'json'))
      },
    }
    const detach = new DebugTrace(logger).listen(bus)
    return { detach, close: () => Promise.resolve(), written: () => Promise.resolve(lines.join('\n')) }
  },
})

describeListener('a listener behind a queue', {
  writes: EVENT_TYPES,
  attach(bus, broken) {
    const lines: string[] = []
    const queue = new EventQueue({
      logger: SILENT,
      take: events => {
        if (broken) throw new Error('full')
        lines.push(...events.map(({ type }) => type))
      },
    })
    const detach = bus.on('*', queue.listener)
    let closed: Promise<void> | undefined
    const close = (): Promise<void> => (closed ??= queue.close())
    const written = async (): Promise<string> => {
      await close()
      return lines.join('\n')
    }
    return { detach, close, written }
  },
})
