import { describe, expect, test } from 'vitest'
import { forwardableCapabilities } from '../../../src/protocol/capabilities.ts'
import {
  definitionAt,
  elicitationAt,
  revisionProfile,
  resultAt,
  samplingAt,
  type RevisionProfile,
} from '../../../src/protocol/revision-profile.ts'
import { resultFor } from '../../../src/protocol/results.ts'

const REVISIONS = ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const

const TEXT = '{"type":"text","text":"1.0"}'
const IMAGE = '{ "type":"image","data":"AAAA","mimeType":"image/png"}'
const EMBEDDED = '{"type":"resource","resource":{"uri":"file:///a","text":"x","n":1.0}}'
const AUDIO = '{"type":"audio","data":"AAAAAA==","mimeType":"audio/wav","annotations":{"priority":1.0}}'
const LINK =
  '{"type":"resource_link","uri":"file:///a.md","name":"a","title":"The A","mimeType":"text/markdown","size":7,"description":"what it is","_meta":{"n":1.0}}'
const BARE_LINK = '{"type":"resource_link","uri":"file:///b","name":"b"}'
const FUTURE = '{"type":"chart","n":1.0}'

/** How a revision reads a block: as it is, or the text in its place. */
const describedLink = 'Link to the resource "The A" (a): file:///a.md (text/markdown, 7 bytes)\nwhat it is'
const SAME = undefined

const BLOCKS: readonly [
  string,
  string,
  Readonly<Record<(typeof REVISIONS)[number], string | RegExp | undefined>>,
][] = [
  [
    'text',
    TEXT,
    { '2024-10-07': SAME, '2024-11-05': SAME, '2025-03-26': SAME, '2025-06-18': SAME, '2025-11-25': SAME },
  ],
  [
    'image',
    IMAGE,
    { '2024-10-07': SAME, '2024-11-05': SAME, '2025-03-26': SAME, '2025-06-18': SAME, '2025-11-25': SAME },
  ],
  [
    'embedded resource',
    EMBEDDED,
    { '2024-10-07': SAME, '2024-11-05': SAME, '2025-03-26': SAME, '2025-06-18': SAME, '2025-11-25': SAME },
  ],
  [
    'audio',
    AUDIO,
    {
      '2024-10-07': /audio\/wav, 4 bytes/,
      '2024-11-05': /audio\/wav, 4 bytes/,
      '2025-03-26': SAME,
      '2025-06-18': SAME,
      '2025-11-25': SAME,
    },
  ],
  [
    'link',
    LINK,
    {
      '2024-10-07': describedLink,
      '2024-11-05': describedLink,
      '2025-03-26': describedLink,
      '2025-06-18': SAME,
      '2025-11-25': SAME,
    },
  ],
  [
    'bare link',
    BARE_LINK,
    {
      '2024-10-07': 'Link to the resource "b": file:///b',
      '2024-11-05': 'Link to the resource "b": file:///b',
      '2025-03-26': 'Link to the resource "b": file:///b',
      '2025-06-18': SAME,
      '2025-11-25': SAME,
    },
  ],
  // Nothing is known of it but that strict clients reject it; the newest revision is passed on untouched.
  [
    'unheard-of',
    FUTURE,
    {
      '2024-10-07': /chart.*"n":1\.0/,
      '2024-11-05': /chart.*"n":1\.0/,
      '2025-03-26': /chart.*"n":1\.0/,
      '2025-06-18': /chart.*"n":1\.0/,
      '2025-11-25': SAME,
    },
  ],
]

const level = (revision: string): RevisionProfile => {
  const found = revisionProfile(revision)
  if (!found) throw new Error(`${revision} lacks nothing`)
  return found
}

function shown(revision: string, method: string, text: string): string {
  const outcome = { kind: 'result' as const, text, value: JSON.parse(text) as unknown, modern: false }
  return resultFor({ modern: false, protocolVersion: revision }, method, outcome, '{}')
}

describe.each(REVISIONS)('to a client of %s', revision => {
  test.each(BLOCKS)('content: %s', (_, block, expected) => {
    const result = `{ "content":[ ${TEXT} , ${block},${IMAGE}],"x":1.0}`
    const prompt = `{ "messages":[ {"role":"user","content":${TEXT}}, {"content": ${block},"role":"user","x":1.0}]}`
    const inResult = shown(revision, 'tools/call', result)
    const inPrompt = shown(revision, 'prompts/get', prompt)
    const want = expected[revision]
    if (want === SAME) {
      expect(inResult).toBe(result)
      expect(inPrompt).toBe(prompt)
      return
    }
    const { content } = JSON.parse(inResult) as { content: { type: string; text: string }[] }
    expect(content[1]).toMatchObject({
      type: 'text',
      text: typeof want === 'string' ? want : expect.stringMatching(want),
    })
    // Everything around it keeps its bytes, and so does what belongs to any block.
    expect(inResult.startsWith(`{ "content":[ ${TEXT} , {"type":"text"`)).toBe(true)
    expect(inResult.endsWith(`,${IMAGE}],"x":1.0}`)).toBe(true)
    for (const kept of ['"annotations":{"priority":1.0}', '"_meta":{"n":1.0}'])
      expect(inResult.includes(kept)).toBe(block.includes(kept))
    const { messages } = JSON.parse(inPrompt) as { messages: { content: unknown }[] }
    expect(messages[1]?.content).toEqual(content[1])
    expect(inPrompt).toContain('"role":"user","x":1.0}')
  })

  test('structured content is not all there is', () => {
    const alone = '{"structuredContent":{"2":1.0,"1":[ ]},"x":1.0}'
    const empty = '{"content":[ ],"structuredContent":{"2":1.0,"1":[ ]},"x":1.0}'
    const both = `{"content":[${TEXT}],"structuredContent":{"a":1.0}}`
    expect(shown(revision, 'tools/call', both)).toBe(both)
    for (const text of [alone, empty]) {
      const result = shown(revision, 'tools/call', text)
      if (revision >= '2025-06-18') expect(result).toBe(text)
      else {
        expect(result).toContain('"structuredContent":{"2":1.0,"1":[ ]},"x":1.0}')
        expect(JSON.parse(result)).toMatchObject({ content: [{ type: 'text', text: '{"2":1.0,"1":[ ]}' }] })
      }
    }
  })

  test('it can be asked what it declares', () => {
    const declared = { elicitation: { form: {}, url: {} }, roots: {}, sampling: { tools: {}, context: {} } }
    expect(JSON.parse(forwardableCapabilities(declared, revision))).toEqual(declared)
  })

  test('broken results and results of other methods stay', () => {
    for (const text of [
      '{"content":7}',
      '{"content":[7,null,{"type":1}]}',
      '{"content":{"type":"audio"}}',
      '[]',
      '{}',
    ])
      expect(shown(revision, 'tools/call', text)).toBe(text)
    for (const text of ['{"messages":7}', '{"messages":[7,{}]}'])
      expect(shown(revision, 'prompts/get', text)).toBe(text)
    const read = `{"contents":[${AUDIO}],"content":[${AUDIO}]}`
    expect(shown(revision, 'resources/read', read)).toBe(read)
  })
})

describe('sampling', () => {
  const asking = (content: string): string =>
    `{"messages":[{"role":"user","content":${TEXT}},{"role":"assistant","content":${content},"_meta":{"n":1.0}}],"maxTokens":1.0}`
  const asked = (revision: string, content: string): string => {
    const text = asking(content)
    return samplingAt(level(revision), { text, value: JSON.parse(text) as unknown }, 'a')
  }

  test('audio is described before 2025-03-26', () => {
    expect(asked('2024-11-05', AUDIO)).toMatch(
      /"type":"text","text":"\[Audio was left out: audio\/wav, 4 bytes/,
    )
    for (const revision of ['2025-03-26', '2025-06-18']) expect(asked(revision, AUDIO)).toBe(asking(AUDIO))
  })

  test('a list of content is one message each before 2025-11-25', () => {
    for (const revision of ['2024-11-05', '2025-03-26', '2025-06-18']) {
      const message = (content: string): string =>
        `{"role":"assistant","content":${content},"_meta":{"n":1.0}}`
      expect(asked(revision, `[ ${TEXT}, ${IMAGE} ]`)).toBe(
        `{"messages":[{"role":"user","content":${TEXT}},${message(TEXT)},${message(IMAGE)}],"maxTokens":1.0}`,
      )
      expect(asked(revision, '[]')).toContain(message('{"type":"text","text":""}'))
    }
  })

  test('what is broken stays', () => {
    for (const text of ['{}', '{"messages":7}', '{"messages":[7,{},{"content":7}]}'])
      expect(samplingAt(level('2024-11-05'), { text, value: JSON.parse(text) as unknown }, 'a')).toBe(text)
  })
})

describe('elicitation', () => {
  const form = (property: string): string =>
    `{"message":"m","requestedSchema":{"type":"object","properties":{"n":{"type":"integer","minimum":1.0},"__proto__":${property}},"x":1.0}}`
  const asked = (text: string): string => elicitationAt({ text, value: JSON.parse(text) as unknown }, 'a')

  test('titles of a choice are sent in the older form as well', () => {
    const choice = '"type":"string","oneOf":[{"const":"a","title":"The A"}, {"const":"b"}]'
    expect(asked(form(`{${choice}}`))).toBe(form(`{"enum":["a","b"],"enumNames":["The A","b"],${choice}}`))
  })

  test.each([
    '{"type":"string"}',
    '{"type":"string","enum":["a"],"oneOf":[{"const":"a"}]}',
    '{"type":"string","oneOf":[{"const":1.0}]}',
    '{"type":"string","oneOf":[null]}',
    '{"type":"string","oneOf":{}}',
    '7',
  ])('everything else stays: %s', property => {
    expect(asked(form(property))).toBe(form(property))
  })

  test('what is no form stays', () => {
    for (const text of ['{}', '{"requestedSchema":7}', '{"requestedSchema":{"properties":[]}}'])
      expect(asked(text)).toBe(text)
  })
})

describe('icons', () => {
  const sized = (sizes: string): string => `{"name":"x","icons":[{"src":"s"${sizes},"n":1.0}]}`

  test('have no sizes in 2025-06-18, whose first clients with icons took a text', () => {
    expect(definitionAt(level('2025-06-18'), sized(',"sizes":["1x1"]'))).toBe(sized(''))
    for (const text of [
      sized(''),
      sized(',"sizes":"1x1"'),
      '{"icons":7}',
      '{"icons":[7]}',
      '{"name":"\\"icons\\""}',
    ])
      expect(definitionAt(level('2025-06-18'), text)).toBe(text)
  })

  test('of links, too', () => {
    const link = (sizes: string): string =>
      `{"content":[{"type":"resource_link","uri":"u","name":"n","icons":[{"src":"s"${sizes}}]}]}`
    const text = link(',"sizes":["1x1"]')
    const json = { text, value: JSON.parse(text) as unknown }
    expect(resultAt(level('2025-06-18'), 'tools/call', json)).toBe(link(''))
  })

  test('are unknown, and so no matter, to older revisions', () => {
    for (const revision of ['2024-11-05', '2025-03-26'])
      expect(definitionAt(level(revision), sized(',"sizes":["1x1"]'))).toBe(sized(',"sizes":["1x1"]'))
  })
})

test('the newest legacy revision and modern ones lack nothing', () => {
  for (const revision of ['2025-11-25', '2026-07-28', '2027-01-01'])
    expect(revisionProfile(revision)).toBeUndefined()
  expect(level('2024-10-07')).toBe(level('2024-11-05'))
  expect(level('2025-05-01')).toBe(level('2025-03-26'))
})
