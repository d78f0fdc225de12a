import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.ts'
import type { Conversation, Exchange } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { ANONYMOUS, type Principal } from '../../../src/core/principal.ts'
import { MAX_KEEP_MS } from '../../../src/tasks/legacy-task.ts'
import { LegacyTasks, MAX_TASKS_OF_ONE } from '../../../src/tasks/legacy-tasks.ts'
import { Seal } from '../../../src/state/seal.ts'
import { TaskIds } from '../../../src/tasks/task-ids.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { Link } from '../../../src/upstream/link/link.ts'
import type { LinkSlot } from '../../../src/upstream/pool/link-slot.ts'
import { exchangeOf, FakeTransport, replicaOf, serverConfig } from '../../helpers/fake-transport.ts'

let deadlines: Deadlines
let tasks: LegacyTasks
beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines()
  tasks = new LegacyTasks(new TaskIds(new Seal(createMemoryStore())), deadlines, () => true)
})
afterEach(() => {
  deadlines.close()
  vi.useRealTimers()
})

const TTL_MS = 60_000

function conversationOf(id: string, principal: Principal = ANONYMOUS): Conversation {
  return {
    id,
    principal,
    protocolVersion: '2025-11-25',
    view: '',
    logLevel: undefined,
    notify: () => undefined,
    ask: () => Promise.reject(new Error('nobody is asked here')),
  }
}

/** A link to a server whose every call becomes a task, and the pins on its slot. */
async function linkOf(owner?: Conversation): Promise<{
  link: Link
  transport: FakeTransport
  slot: LinkSlot
  pins: () => number
  task: Record<string, unknown>
}> {
  const task: Record<string, unknown> = { status: 'working', ttl: TTL_MS }
  let made = 0
  let pins = 0
  const transport = new FakeTransport({
    'tools/call': () => ({ result: { task: { ...task, taskId: `job-${++made}` } } }),
    'tasks/get': params => ({ result: { ...task, ...params } }),
    'tasks/cancel': params => ({ result: { ...params, status: 'cancelled', ttl: TTL_MS } }),
    'tasks/result': () => ({ result: { content: [] } }),
  })
  const link = new Link({
    server: serverConfig({ timeoutMs: 0 }),
    replica: replicaOf(serverConfig({ timeoutMs: 0 })),
    transport,
    deadlines,
    logger: SILENT,
    clientInfo: '{}',
    capabilities: '{}',
    owner,
    listener: {
      onNotification: () => undefined,
      onRequest: () => Promise.resolve('{}'),
      onLost: lost => tasks.lost(lost),
      onGap: () => undefined,
    },
  })
  await transport.open(link)
  link.establish({
    era: 'legacy',
    protocolVersion: '2025-11-25',
    capabilities: {},
    instructions: undefined,
    serverInfo: '{}',
  })
  const slot = { pin: () => pins++, unpin: () => pins-- } as unknown as LinkSlot
  return { link, transport, slot, pins: () => pins, task }
}

const callOf = (conversation: Conversation, method = 'tools/call', params = {}): Exchange =>
  exchangeOf(method, { name: 'own', ...params }, { conversation, principal: conversation.principal })

type Linked = Awaited<ReturnType<typeof linkOf>>

/** Makes a task; resolves with the id its client knows. */
async function made({ link, slot }: Linked, conversation: Conversation): Promise<string> {
  const call = { method: 'tools/call', change: {} }
  const outcome = await tasks.create(link, slot, callOf(conversation), 'own', call)
  return (JSON.parse(String(outcome.text)) as { task: { taskId: string } }).task.taskId
}

async function ask(conversation: Conversation, id: string, method: string): Promise<void> {
  await tasks.find(callOf(conversation), id)?.call(callOf(conversation, method, { taskId: id }))
}

describe('the link of a task', () => {
  it.each([
    ['its result has been fetched', 'tasks/result'],
    ['it was cancelled', 'tasks/cancel'],
  ])('is kept until %s', async (_, method) => {
    const linked = await linkOf()
    const conversation = conversationOf('s')
    const id = await made(linked, conversation)
    await ask(conversation, id, 'tasks/get')
    expect(linked.pins()).toBe(1)
    expect(tasks.worksFor(conversation)).toBe(true)
    await ask(conversation, id, method)
    expect(linked.pins()).toBe(0)
    expect(tasks.worksFor(conversation)).toBe(false)
    // It can still be asked about.
    expect(tasks.find(callOf(conversation), id)).toBeDefined()
  })

  it('is kept for the time to live of the task, counted from its last message', async () => {
    const linked = await linkOf()
    const conversation = conversationOf('s')
    const id = await made(linked, conversation)
    await vi.advanceTimersByTimeAsync(TTL_MS - 1000)
    await ask(conversation, id, 'tasks/get')
    await vi.advanceTimersByTimeAsync(TTL_MS - 1000)
    expect(linked.pins()).toBe(1)
    await vi.advanceTimersByTimeAsync(2000)
    expect(linked.pins()).toBe(0)
    expect(tasks.find(callOf(conversation), id)).toBeUndefined()
  })

  it.each([null, undefined, Number.MAX_SAFE_INTEGER, 'forever'])(
    'is not kept for ever by a time to live of %s',
    async ttl => {
      const linked = await linkOf()
      linked.task.ttl = ttl
      const id = await made(linked, conversationOf('s'))
      await vi.advanceTimersByTimeAsync(MAX_KEEP_MS - 1000)
      expect(linked.pins()).toBe(1)
      await vi.advanceTimersByTimeAsync(2000)
      expect([linked.pins(), tasks.size, tasks.find(callOf(conversationOf('s')), id)]).toEqual([
        0,
        0,
        undefined,
      ])
    },
  )

  it('takes its tasks along when it is lost', async () => {
    const linked = await linkOf()
    const conversation = conversationOf('s')
    const id = await made(linked, conversation)
    linked.link.onSessionLost()
    expect([linked.pins(), tasks.find(callOf(conversation), id)]).toEqual([0, undefined])
  })

  it('takes its tasks along when it served a session that has ended; others go on', async () => {
    const [own, other] = [conversationOf('own'), conversationOf('other')]
    const [alone, shared] = [await linkOf(own), await linkOf()]
    await made(alone, own)
    const id = await made(shared, own)
    await made(shared, other)
    tasks.leave(own)
    expect([alone.pins(), shared.pins()]).toEqual([0, 2])
    expect(tasks.find(callOf(own), id)).toBeDefined()
  })
})

describe('the owner of a task', () => {
  it('is the session without a principal, and the principal with one', async () => {
    const linked = await linkOf()
    const ada: Principal = { kind: 'client', id: 'client:ada', name: 'ada', client: undefined, roles: [] }
    const bob: Principal = { kind: 'client', id: 'client:bob', name: 'bob', client: undefined, roles: [] }
    const anonymous = await made(linked, conversationOf('1'))
    const named = await made(linked, conversationOf('1', ada))
    const finds = (id: string, who: string, principal?: Principal): boolean =>
      tasks.find(callOf(conversationOf(who, principal)), id) !== undefined
    expect([finds(anonymous, '1'), finds(anonymous, '2'), finds(anonymous, '1', ada)]).toEqual([
      true,
      false,
      false,
    ])
    expect([
      finds(named, '1', ada),
      finds(named, '2', ada),
      finds(named, '1', bob),
      finds(named, '1'),
    ]).toEqual([true, true, false, false])
    const listed = async (who: string, principal?: Principal): Promise<number> => {
      const { text } = await tasks.list(callOf(conversationOf(who, principal)), () => true, undefined)
      return (JSON.parse(String(text)) as { tasks: unknown[] }).tasks.length
    }
    expect([await listed('2', ada), await listed('1', bob), await listed('1')]).toEqual([1, 0, 1])
  })
})

it('a client has so many tasks and no more, and those that have ended make room', async () => {
  const linked = await linkOf()
  const [one, other] = [conversationOf('one'), conversationOf('other')]
  const ids: string[] = []
  for (let n = 0; n < MAX_TASKS_OF_ONE; n++) ids.push(await made(linked, one))
  const before = linked.transport.of('tools/call').length
  await expect(made(linked, one)).rejects.toMatchObject({ code: 'overloaded' })
  expect(linked.transport.of('tools/call')).toHaveLength(before)
  await made(linked, other)
  await ask(one, ids[3] as string, 'tasks/result')
  await made(linked, one)
  expect(ids.map(id => tasks.find(callOf(one), id) !== undefined).indexOf(false)).toBe(3)
})

it('a task whose id cannot be handed out is cancelled', async () => {
  const away = () => Promise.reject(new Error('away'))
  const broken = { get: away, setIfAbsent: away } as unknown as ConstructorParameters<typeof Seal>[0]
  tasks = new LegacyTasks(new TaskIds(new Seal(broken)), deadlines, () => true)
  const linked = await linkOf()
  await expect(made(linked, conversationOf('s'))).rejects.toThrow('away')
  expect(linked.transport.of('tasks/cancel').map(({ params }) => params?.taskId)).toEqual(['job-1'])
  expect([linked.pins(), tasks.size]).toEqual([0, 0])
})
