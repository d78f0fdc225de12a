import { sep } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expand, inputVariable } from '../../../../src/config/load/variables.ts'
import type { Variables } from '../../../../src/config/load/variables.ts'

const VARIABLES: Variables = {
  secret: () => undefined,
  env: { NAME: 'ada', EMPTY: '', MCP_INPUT_API_KEY: 'asked', MONEY: '$&$1' },
  workspaceFolder: '/home/ada/project',
  userHome: '/home/ada',
  readFile: path => {
    if (path === 'secret.txt') return 'from a file\r\n'
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  },
}

function expandText(text: string): unknown {
  const { value, problems } = expand({ text }, VARIABLES)
  expect(problems).toEqual([])
  return (value as { text: unknown }).text
}

describe('a variable', () => {
  test.each([
    ['${NAME}', 'ada'],
    ['${env:NAME}', 'ada'],
    ['Hello ${NAME}, ${NAME}!', 'Hello ada, ada!'],
    ['${EMPTY}', ''],
    ['${UNSET:-else}', 'else'],
    ['${EMPTY:-else}', 'else'],
    ['${NAME:-else}', 'ada'],
    ['${UNSET:-}', ''],
    ['${UNSET:-https://x.example:80/a?b=c}', 'https://x.example:80/a?b=c'],
    ['${env:UNSET:-else}', 'else'],
    ['${MONEY}', '$&$1'],
    ['${workspaceFolder}/src', '/home/ada/project/src'],
    ['${workspaceFolderBasename}', 'project'],
    ['${userHome}', '/home/ada'],
    ['a${pathSeparator}b${/}c', `a${sep}b${sep}c`],
    ['${input:api-key}', 'asked'],
    ['${file:secret.txt}', 'from a file'],
    ['$${NAME}', '${NAME}'],
    ['$NAME costs 5$', '$NAME costs 5$'],
  ])('%s becomes %s', (text, expanded) => {
    expect(expandText(text)).toBe(expanded)
  })

  test.each([
    ['${UNSET}', 'uses ${UNSET}, but the environment variable UNSET is not set'],
    ['${env:UNSET}', 'uses ${env:UNSET}, but the environment variable UNSET is not set'],
    ['${input:other}', 'uses ${input:other}, but the gateway cannot prompt for the input "other"'],
    ['${file:missing}', 'uses ${file:missing}, but there is no such file'],
    ['${a b}', 'has ${a b}, which is no variable'],
    ['${}', 'has ${}, which is no variable'],
    ['${command:x}', 'has ${command:x}, which is no variable'],
    ['${UNSET:-${NAME}}', 'has ${UNSET:-${NAME}, which is no variable'],
    ['${NAME', 'has a "${" without "}"'],
  ])('%s is a problem', (text, cause) => {
    const { problems } = expand({ a: [text] }, VARIABLES)
    expect(problems).toEqual([expect.objectContaining({ path: ['a', 0], cause })])
  })
})

test('the default of an input of VS Code is used when no variable answers', () => {
  const file = {
    inputs: [{ id: 'region', default: 'eu' }, null, { id: 'api-key', default: 'x' }],
    a: '${input:region} ${input:api-key}',
  }
  expect(expand(file, VARIABLES)).toMatchObject({ problems: [], value: { a: 'eu asked' } })
})

test('the variable that answers an input follows from its id', () => {
  expect(inputVariable('perplexity-key.v2')).toBe('MCP_INPUT_PERPLEXITY_KEY_V2')
})

test('only texts change, keys and other values stay', () => {
  const file = { '${NAME}': [1, true, null, { deep: '${NAME}' }] }
  expect(expand(file, VARIABLES).value).toEqual({ '${NAME}': [1, true, null, { deep: 'ada' }] })
  expect(file['${NAME}'][3]).toEqual({ deep: '${NAME}' })
})

test('what belongs to a client is left alone', () => {
  const file = {
    $schema: '${X}',
    preferences: { a: '${X}' },
    mcpServers: { a: { description: '${X}', dev: { watch: '${X}' } } },
  }
  expect(expand(file, VARIABLES)).toEqual({ value: file, problems: [], printed: [] })
})

test('disabled servers are left out, and their variables need no values', () => {
  const file = {
    mcpServers: { a: { command: '${UNSET}', disabled: true }, b: { command: 'b', disabled: false } },
  }
  expect(expand(file, VARIABLES)).toEqual({
    value: { mcpServers: { b: { command: 'b', disabled: false } } },
    problems: [],
    printed: [],
  })
})

test('a name that would change the prototype is refused', () => {
  const file: unknown = JSON.parse('{ "mcpServers": { "__proto__": { "command": "x" } } }')
  const { value, problems } = expand(file, VARIABLES)
  expect(problems).toEqual([expect.objectContaining({ path: ['mcpServers', '__proto__'] })])
  expect(value).toEqual({ mcpServers: {} })
  expect(Object.getPrototypeOf((value as { mcpServers: object }).mcpServers)).toBe(Object.prototype)
})
