import { expect, test } from 'vitest'
import { JSONC } from '../../../src/client-files/formats/jsonc.ts'
import { NotReadable, type EntrySection, type Format } from '../../../src/client-files/formats/format.ts'
import { TOML } from '../../../src/client-files/formats/toml.ts'
import { YAML } from '../../../src/client-files/formats/yaml.ts'
import { describeFormat } from '../../contract/client-format.ts'

const DEEP = 5000

describeFormat('JSON with comments', {
  format: JSONC,
  section: { path: ['mcpServers'], kind: 'table' },
  texts: {
    plain:
      '{\n  "mcpServers": {\n    "a": { "command": "a" },\n    "b": {\n      "command": "b"\n    }\n  }\n}\n',
    'with comments':
      '// head\n{\n  /* of all */ "mcpServers": { // beside\n    // of a\n    "a": { "command": "a" }, // behind a\n    "b": { "url": "b" } // behind b\n    // last\n  }, // end\n  "z": 1 // z\n}\n// foot\n',
    'with tabs and trailing commas':
      '{\n\t"theme": "dark",\n\t"mcpServers": {\n\t\t"a": {"command": "a",},\n\t\t"b": {"command": "b",},\n\t},\n}\n',
    'in one line': '{ "mcpServers": { "a": { "command": "a" }, "b": { "command": "b" } } }\n',
    minified: '{"x":1,"mcpServers":{"a":{"command":"a"},"b":{"command":"b"}}}\n',
    'one member beside the bracket':
      '{ "mcpServers": { "a": { "command": "a" },\n    "b": { "command": "b" } },\n  "z": 1 }\n',
    'a block comment beside the bracket': '{"mcpServers": { /* one\n two */ "a": {},\n "b": {} }}\n',
  },
  empty: {
    nothing: '',
    'an empty object': '{}\n',
    'an empty object on two lines': '{\n}\n',
    'only comments': '// Put servers here.\n/* or not */\n',
    'another key': '{\n    "theme": "dark" // nice\n}\n',
    'another key, minified': '{"theme":"dark"}\n',
    'an empty section': '{\n  "mcpServers": {}\n}\n',
    'an empty section with a comment': '{\n  "mcpServers": {\n    // none yet\n  }\n}\n',
    'an empty section with a comment beside it': '{\n  "mcpServers": { /* none */ }\n}\n',
    'an empty section in one line': '{ "mcpServers": {}, "z": [1] }\n',
  },
  fixed: {
    'a list': '[]',
    'a section that is a list': '{ "mcpServers": [] }',
    'a section that is null': '{ "mcpServers": null }',
    'a section that is there twice': '{ "mcpServers": { "a": {} }, "mcpServers": { "b": {} } }',
  },
  broken: {
    'an open bracket': ['{ "mcpServers": {\n', /is not JSON/],
    'a comma too much': ['{ "a": 1,, }', /line 1, column 10/],
    'two values': ['{} {}', /is not JSON/],
    'nested too deep': [`${'['.repeat(DEEP)}${']'.repeat(DEEP)}`, /nested too deep/],
    yaml: ['mcpServers:\n  a: 1\n', /is not JSON/],
  },
})

describeFormat('TOML', {
  format: TOML,
  section: { path: ['mcp_servers'], kind: 'table' },
  texts: {
    tables:
      'model = "x" # the model\n\n# of a\n[mcp_servers.a] # beside\ncommand = "a" # c\n\n[mcp_servers.a.env]\nKEY = "v"\n\n[mcp_servers.b]\nurl = "b"\n\n# of tui\n[tui]\nx = 1\n',
    'tables at the end':
      '[tui]\nx = 1\n[mcp_servers.a]\ncommand = "a"\n# last of a\n[mcp_servers.b]\ncommand = """\nb\n"""\n',
    'one table with inline tables':
      '[mcp_servers]\n# of a\na = { command = "a" } # beside\nb = { command = "b", env = { X = "1" } }\n\n[tui]\n',
    'one table with dotted keys':
      '[mcp_servers]\na.command = "a"\na.args = [\n  "x", # x\n  "y",\n]\nb.command = "b"\n',
    'an inline table at the top':
      'mcp_servers = { a = { command = "a" }, b = { command = "b" } } # all\nx = 1\n\n[tui]\ny = 2\n',
    'dotted keys at the top': 'mcp_servers.a.command = "a"\nmcp_servers.b.command = "b"\nz = 1\n',
    'quoted names': '["mcp_servers"."a"]\ncommand = \'a\'\n\n[ mcp_servers . "b" ]\ncommand = "b"\n',
    'tables in another order':
      '[mcp_servers.a.env]\nX = "1"\n[tui]\nz = 1979-05-27T07:32:00Z\n[mcp_servers.b]\ncommand = "b"\n[mcp_servers.a.tools.x]\nok = true\n',
  },
  empty: {
    nothing: '',
    'only comments': '# Put servers here.\n',
    'another key': 'model = "x"\n',
    'another table': 'model = "x"\n\n[tui]\nx = 1\n\n\n',
    'an empty inline table': 'mcp_servers = {}\n\n[tui]\n',
    'an empty table': '[mcp_servers]\n',
  },
  fixed: {
    'a section that is a text': 'mcp_servers = "none"\n',
    'a section that is a list': '[[mcp_servers]]\nname = "a"\n',
  },
  broken: {
    'a value without quotes': ['model = x\n', /is not TOML at line 1/],
    'a key that is there twice': ['a = 1\na = 2\n', /line 2/],
    'a table that is there twice': ['[a]\n[a]\n', /line 2/],
    'an open list': ['a = [1,\n', /is not TOML/],
    json: ['{ "a": 1 }', /is not TOML/],
    'nested too deep': [`a = ${'['.repeat(DEEP * 4)}${']'.repeat(DEEP * 4)}`, /nested too deep|is not TOML/],
  },
})

describeFormat('YAML', {
  format: YAML,
  section: { path: ['extensions'], kind: 'table' },
  texts: {
    block:
      '# head\nGOOSE_MODEL: x # model\nextensions: # all\n  # of a\n  a: # beside a\n    cmd: a\n    args: [x, "y"] # args\n    text: |\n      one\n      two\n\n  # of b\n  b:\n    cmd: b\n    # last of b\nother: 1 # other\n',
    'block at the end':
      'other: 1\nextensions:\n    a:\n        cmd: a\n    b:\n        args:\n        - x\n        - y\n',
    'block with a block scalar at the end':
      'extensions:\n  a: { cmd: a }\n  b:\n    text: >-\n      folded\n      text\n\n',
    flow: 'extensions: { a: { cmd: a }, b: { cmd: b } } # all\nz: 1\n',
    'flow on lines': 'extensions: {\n  a: { cmd: a }, # a\n  b: { cmd: b }\n}\n',
    json: '{ "extensions": { "a": { "cmd": "a" }, "b": { "cmd": "b" } } }\n',
    'an anchor on the key line':
      'extensions: &all # here\n  a: { cmd: a }\n  b: { cmd: b }\ncopy: *all\n'.replace('copy: *all\n', ''),
    'with a document mark': '---\nextensions:\n  a:\n    cmd: a\n  "b":\n    cmd: b\n',
  },
  empty: {
    nothing: '',
    'only comments': '# Put servers here.\n',
    'only a document mark': '---\n',
    'another key': 'GOOSE_MODEL: x # model\n',
    'another key with a block scalar': 'text: |\n  one\n  two\n',
    'an empty section': 'extensions:\nother: 1\n',
    'an empty section with a comment': 'other: 1\nextensions: # none yet\n',
    'an empty section in braces': 'extensions: {} # none\nother: 1\n',
    'an end mark': 'a: 1\n...\n',
  },
  fixed: {
    'a section that is null in words': 'extensions: null\n',
    'a section that is a text': 'extensions: none\n',
    'a list': '- a\n- b\n',
    'a section of an alias': 'base: &b\n  x: { cmd: x }\nextensions: *b\n',
  },
  broken: {
    'two documents': ['a: 1\n---\nb: 2\n', /has several documents/],
    'a bracket that is open': ['a: [1,\n', /is not YAML at line/],
    'a tab as indentation': ['a:\n\tb: 1\n', /is not YAML at line 2/],
    'a key that is there twice': ['a: 1\na: 2\n', /is not YAML at line 2/],
    'an alias of nothing': ['a: *none\n', /has an alias of something that is not there|is not YAML/],
  },
})

describeFormat('YAML with a list', {
  format: YAML,
  section: { path: ['mcpServers'], kind: 'list' },
  texts: {
    block:
      'name: mine\nmcpServers: # all\n  # of a\n  - name: a # beside\n    command: a\n  # of b\n  - name: b\n    args:\n      - x\n    env: { X: 1 }\nrules: []\n',
    'without indentation': 'mcpServers:\n- name: a\n  command: a\n- command: b\n  name: b\n',
    flow: 'mcpServers: [{ name: a, command: a }, { name: b, command: b }] # all\n',
    'beside others': 'mcpServers:\n  - uses: hub/x\n  - name: a\n  - name: b\n',
  },
  empty: {
    nothing: '',
    'another key': 'name: mine\n',
    'an empty section': 'mcpServers:\nname: mine\n',
    'an empty list': 'mcpServers: []\nname: mine\n',
  },
  fixed: { 'a section that is a table': 'mcpServers:\n  a: { command: a }\n' },
  broken: { 'an open text': ['a: "x\n', /is not YAML/] },
})

test('aliases that grow beyond bounds are refused', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
  for (let at = 1; at < 12; at++)
    lines.push(`a${at}: &a${at} [${Array.from({ length: 9 }, () => `*a${at - 1}`).join(', ')}]`)
  expect(() => YAML.entries(lines.join('\n'), { path: ['extensions'], kind: 'table' })).toThrow(NotReadable)
})

test('an entry whose anchor is used elsewhere is not removed', () => {
  const text = 'extensions:\n  a: &a\n    cmd: a\n  b: *a\n'
  const section = { path: ['extensions'], kind: 'table' } as const
  expect(() => YAML.remove(text, section, ['a'])).toThrow('cannot be changed in place')
})

test('comments that belong to an entry go with it, and no others do', () => {
  const json =
    '{\n  "mcpServers": {\n    // of a\n    "a": {}, // beside a\n\n    // of b\n    "b": {}\n  }\n}\n'
  const path = ['mcpServers']
  expect(JSONC.remove(json, { path, kind: 'table' }, ['a'])).toBe(
    '{\n  "mcpServers": {\n\n    // of b\n    "b": {}\n  }\n}\n',
  )
  // Over a blank line, a comment belongs to no entry: banners, and servers that are comments.
  const off =
    '{\n  "mcpServers": {\n    "a": {},\n\n    // "off": {},\n    // banner\n\n    // of b\n    "b": {} // beside b\n  }\n}\n'
  expect(JSONC.remove(off, { path, kind: 'table' }, ['b'])).toBe(
    '{\n  "mcpServers": {\n    "a": {}\n\n    // "off": {},\n    // banner\n\n  }\n}\n',
  )
  expect(JSONC.remove(off, { path, kind: 'table' }, ['a', 'b'])).toBe(
    '{\n  "mcpServers": {\n\n    // "off": {},\n    // banner\n\n  }\n}\n',
  )
  const toml = '# head\n\n# of a\n[mcp_servers.a] # beside\nx = 1\n\n# of b\n[mcp_servers.b]\nx = 1\n'
  expect(TOML.remove(toml, { path: ['mcp_servers'], kind: 'table' }, ['a'])).toBe(
    '# head\n\n# of b\n[mcp_servers.b]\nx = 1\n',
  )
  const yaml = 'extensions: # all\n  # of a\n  a: # beside\n    x: 1\n\n  # of b\n  b:\n    x: 1\n'
  expect(YAML.remove(yaml, { path: ['extensions'], kind: 'table' }, ['a'])).toBe(
    'extensions: # all\n\n  # of b\n  b:\n    x: 1\n',
  )
})

test.each<[string, Format, EntrySection, string]>([
  [
    'JSON with comments',
    JSONC,
    { path: ['mcpServers'], kind: 'table' },
    '{\n  "mcpServers": {\n    // of a\n    "a": { "x":1 /* in a */ }, // beside a\n    "b": {}\n  }\n}\n',
  ],
  [
    'JSON with the only entry',
    JSONC,
    { path: ['mcpServers'], kind: 'table' },
    '{\n  "mcpServers": {\n    "a": {\n      // in a\n      "x":1\n    } // beside a\n  }\n}\n',
  ],
  [
    'TOML',
    TOML,
    { path: ['mcp_servers'], kind: 'table' },
    'y = 1\n\n# of a\n[mcp_servers.a] # beside\nx = 1 # in a\n\n[mcp_servers.a.env]\nZ = "1"\n',
  ],
  [
    'YAML',
    YAML,
    { path: ['extensions'], kind: 'table' },
    'extensions:\n  # of a\n  a: # beside\n    x: 1 # in a\n  b:\n    x: 1\n',
  ],
  [
    'YAML with a list',
    YAML,
    { path: ['mcpServers'], kind: 'list' },
    'mcpServers:\n  # of a\n  - name: a # beside\n    x: 1 # in a\n  - name: b\n',
  ],
])('%s: an entry is put back as it was written', (_, format, section, text) => {
  const gateway = { name: 'gw', value: { command: 'x' } }
  const { text: edited, piece } = format.insert(text, section, gateway)
  const gone = format.remove(edited, section, ['a'])
  const [entry] = format.entries(text, section)
  if (!entry) throw new Error('there is no entry')
  const back = format.insert(gone, section, entry, text).text
  expect(format.remove(back, section, ['gw'], piece)).toBe(text)
})

test('an entry is put back into a text that is laid out in another way', () => {
  const section = { path: ['mcpServers'], kind: 'table' } as const
  const from = '{\n  "mcpServers": {\n    // of a\n    "a": {} // beside a\n  }\n}\n'
  const entry = { name: 'a', value: {} }
  for (const text of [
    '{"mcpServers":{"gw":{}}}',
    '{"mcpServers":{}}',
    '{}',
    '',
    '{ "mcpServers": { "gw": {}\n } }',
  ]) {
    const { text: back } = JSONC.insert(text, section, entry, from)
    expect(JSONC.entries(back, section)).toContainEqual(entry)
    if (text.includes('mcpServers')) expect(back).toMatch(/\/\/ of a\n.*"a": \{\},? \/\/ beside a\n/)
  }
})
