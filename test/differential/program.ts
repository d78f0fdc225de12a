import type { Inbox } from '../helpers/inbox.ts'

/** What a client of either official SDK can do, with what it was told unasked. */
export interface ProgramClient {
  listTools(): Promise<unknown>
  listResources(): Promise<unknown>
  listResourceTemplates(): Promise<unknown>
  listPrompts(): Promise<unknown>
  callTool(
    name: string,
    args: Record<string, unknown>,
    options?: { onprogress?: (progress: unknown) => void; signal?: AbortSignal },
  ): Promise<unknown>
  readResource(uri: string): Promise<unknown>
  getPrompt(name: string, args?: Record<string, string>): Promise<unknown>
  complete(ref: Record<string, string>, name: string, value: string): Promise<unknown>
  ping(): Promise<unknown>
  setLevel(level: string): Promise<unknown>
  subscribe(uri: string): Promise<unknown>
  unsubscribe(uri: string): Promise<unknown>
  /** From here on it hears of changed lists; legacy clients always do. */
  watchLists(): Promise<void>
  /** Notifications in the order in which they came. */
  readonly told: Inbox<{ method: string; params?: unknown }>
  close(): Promise<void>
}

/** What was answered to a question of the server; a step may replace one. */
export interface Answers {
  elicitation: (params: unknown) => unknown
  sampling: (params: unknown) => unknown
  roots: () => unknown
}

export type Transcript = Record<string, unknown>

/** The answers of the person at the client, and what it was asked. */
export function createAnswers(asked: unknown[]): Answers {
  return {
    elicitation: params => {
      asked.push(['elicitation/create', params])
      const { properties = {} } = (params as { requestedSchema?: { properties?: Record<string, unknown> } })
        .requestedSchema ?? { properties: {} }
      const content = Object.fromEntries(
        Object.entries(properties).map(([name, schema]) => [name, valueFor(schema as { type?: string })]),
      )
      return { action: 'accept', content }
    },
    sampling: params => {
      asked.push(['sampling/createMessage', params])
      return { role: 'assistant', model: 'none', content: { type: 'text', text: 'Paris' } }
    },
    roots: () => ({ roots: [{ uri: 'file:///home/project', name: 'project' }] }),
  }
}

function valueFor({ type, enum: options, default: preset }: Record<string, unknown>): unknown {
  if (preset !== undefined) return preset
  if (Array.isArray(options)) return options[0]
  if (type === 'boolean') return true
  if (type === 'integer' || type === 'number') return 3
  if (type === 'array') return ['value1']
  return 'value1'
}

const TOOLS_WITHOUT_ARGUMENTS = [
  'test_simple_text',
  'test_image_content',
  'test_audio_content',
  'test_embedded_resource',
  'test_multiple_content_types',
  'test_error_handling',
  'json_schema_2020_12_tool',
  'test_missing_capability',
  'test_elicitation_sep1034_defaults',
  'test_elicitation_sep1330_enums',
  'test_streaming_elicitation',
  'test_input_required_result_elicitation',
  'test_input_required_result_sampling',
  'test_input_required_result_list_roots',
  'test_input_required_result_request_state',
  'test_input_required_result_multi_round',
  'test_input_required_result_capabilities',
  'no_such_tool',
]

const WATCHED = 'test://watched-resource'

/**
 * Uses every feature of the protocol once and writes down what it saw. Run directly at a server and through the gateway, the two transcripts are the same.
 * @param asked what the server asked, filled by the answers
 */
export async function runProgram(
  client: ProgramClient,
  answers: Answers,
  asked: unknown[],
  legacy: boolean,
): Promise<Transcript> {
  const transcript: Transcript = {}
  const step = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    asked.length = 0
    const told = client.told.all.length
    let outcome: unknown
    try {
      outcome = { result: await act() }
    } catch (error) {
      const { code, message, data } = error as { code?: unknown; message?: unknown; data?: unknown }
      outcome = { error: { code, message, data } }
    }
    const heard = client.told.all.slice(told).filter(({ method }) => method.endsWith('message'))
    transcript[name] = structuredClone({ outcome, heard, asked: [...asked] })
  }
  /** Waits for a notification that came, or comes, after the first `from` ones. */
  const heardSince = async (from: number, wanted: string): Promise<unknown> =>
    client.told.all.slice(from).find(({ method }) => method === wanted) ??
    (await client.told.next(({ method }) => method === wanted, wanted))
  await step('tools', () => client.listTools())
  await step('resources', () => client.listResources())
  await step('templates', () => client.listResourceTemplates())
  await step('prompts', () => client.listPrompts())
  await step('ping', () => client.ping())
  for (const name of TOOLS_WITHOUT_ARGUMENTS) await step(name, () => client.callTool(name, {}))
  await step('arguments', () =>
    client.callTool('greet', { name: 'Ada', big: 2 ** 53, nested: [{ a: null }] }),
  )
  await step('wrong arguments', () => client.callTool('greet', {}))
  await step('sampling', () => client.callTool('test_sampling', { prompt: 'Capital of France?' }))
  await step('elicitation', () => client.callTool('test_elicitation', { message: 'Two lines\nof text' }))
  for (const action of ['decline', 'cancel'])
    await step(`elicitation, ${action}`, async () => {
      const { elicitation } = answers
      answers.elicitation = () => ({ action })
      try {
        return await client.callTool('test_elicitation', { message: 'Well?' })
      } finally {
        answers.elicitation = elicitation
      }
    })
  if (legacy)
    await step('a question is answered by an error', async () => {
      const { elicitation } = answers
      answers.elicitation = () => {
        throw Object.assign(new Error('nobody is there'), { code: -32050, data: { since: 'noon' } })
      }
      try {
        return await client.callTool('test_elicitation', { message: 'Well?' })
      } finally {
        answers.elicitation = elicitation
      }
    })
  await step('progress', async () => {
    const progress: unknown[] = []
    const result = await client.callTool(
      'test_tool_with_progress',
      {},
      { onprogress: at => progress.push(at) },
    )
    // The SDKs drop those that arrive together with what comes next.
    return { result, progress: progress.slice(0, 1) }
  })
  await step('level', () => client.setLevel('info'))
  await step('logs', () => client.callTool('test_tool_with_logging', {}))
  await step('cancelled', async () => {
    const leaving = new AbortController()
    const onprogress = (): void => leaving.abort('enough')
    return await client.callTool('test_tool_with_progress', {}, { onprogress, signal: leaving.signal })
  })
  for (const uri of [
    'test://static-text',
    'test://static-binary',
    'test://template/7/data',
    'test://nothing/there',
  ])
    await step(`read ${uri}`, () => client.readResource(uri))
  await step('prompt', () => client.getPrompt('test_simple_prompt'))
  await step('prompt with arguments', () =>
    client.getPrompt('test_prompt_with_arguments', { arg1: 'a', arg2: 'b' }),
  )
  await step('unknown prompt', () => client.getPrompt('no_such_prompt'))
  await step('completion', () =>
    client.complete({ type: 'ref/prompt', name: 'test_prompt_with_arguments' }, 'arg1', 'p'),
  )
  await step('completion of a template', () =>
    client.complete({ type: 'ref/resource', uri: 'test://template/{id}/data' }, 'id', '1'),
  )
  await step('subscription', async () => {
    await client.subscribe(WATCHED)
    const from = client.told.all.length
    await client.callTool('test_trigger_resource_update', {})
    const update = await heardSince(from, 'notifications/resources/updated')
    await client.unsubscribe(WATCHED)
    return update
  })
  await client.watchLists()
  for (const round of ['added', 'removed'])
    await step(`list changed: ${round}`, async () => {
      const from = client.told.all.length
      await client.callTool('test_trigger_tool_change', {})
      await heardSince(from, 'notifications/tools/list_changed')
      return await client.listTools()
    })
  return transcript
}
