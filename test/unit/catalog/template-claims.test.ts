import { expect, it } from 'vitest'
import type { EndpointMember } from '../../../src/catalog/endpoint-catalog.ts'
import { merging } from '../../../src/catalog/merging.ts'
import {
  MAX_MATCH_STEPS,
  TemplateIndex,
  type Template,
  type TemplateClaims,
} from '../../../src/catalog/template-claims.ts'
import type { LogFields, Logger } from '../../../src/core/logger.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { atOnce } from '../../../src/core/slices.ts'
import { UriTemplate } from '../../../src/protocol/uri-template.ts'
import { serverConfig } from '../../helpers/fake-transport.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

/** Matches nothing that ends in `Z/a`, which shows at its last part only. */
const nearly = (index: number, scheme = 'x:'): string => `${scheme}{+v${index}}a${'{+v}a'.repeat(30)}Z{w}a`
const NEARLY = Array.from({ length: 300 }, (_, index) => nearly(index))
const LONG = `x:${'a'.repeat(8000)}Z/a`

const templatesOf = (server: string, texts: readonly string[]): Template[] =>
  texts.map(text => ({
    route: { server, own: text, exposed: text },
    template: UriTemplate.parse(text) as UriTemplate,
  }))
const templateClaims = (templates: readonly Template[], uri: string): TemplateClaims => {
  const index = new TemplateIndex()
  for (const template of templates) index.add(template)
  return index.claims(uri)
}
const serversOf = ({ claims }: TemplateClaims): string[] => claims.map(({ route }) => route.server)

const merged = (servers: Readonly<Record<string, readonly string[]>>, logger: Logger = SILENT) =>
  atOnce(
    merging({
      members: Object.entries(servers).map(([name, texts]): EndpointMember => {
        const server = serverConfig({ name, prefix: name })
        const resourceTemplates = texts.map(key => ({
          key,
          text: JSON.stringify({ uriTemplate: key, name: 't' }),
        }))
        return { server, prefix: name, snapshot: snapshotOf(name, { lists: { resourceTemplates } }) }
      }),
      maxNameLength: 48,
      logger,
    }),
  )

it('hundreds of templates that nearly match take 200,000 steps together', () => {
  const found = templateClaims(templatesOf('hostile', NEARLY), LONG)
  expect(found.steps).toBeGreaterThan(100_000)
  expect(found.steps).toBeLessThanOrEqual(200_000)
  expect(MAX_MATCH_STEPS).toBe(200_000)
  expect(found).toMatchObject({ claims: [], open: [{ route: { server: 'hostile' }, named: 2 }] })
})

it('a server of which the templates take all their steps leaves those of the servers before and after it theirs', () => {
  const good = ['x:{+path}', 'x:{a}/{b}']
  const hostile = templatesOf('hostile', NEARLY)
  for (const before of [true, false]) {
    const other = templatesOf('good', good)
    const found = templateClaims(before ? [...other, ...hostile] : [...hostile, ...other], LONG)
    expect(serversOf(found)).toEqual(['good'])
    expect(found.open.map(({ route }) => route.server)).toEqual(['hostile'])
    expect(found.steps).toBeLessThanOrEqual(MAX_MATCH_STEPS)
  }
})

it('hundreds of templates that match are matched once for each server', () => {
  const found = templateClaims(
    ['a', 'b'].flatMap(server =>
      templatesOf(
        server,
        Array.from({ length: 300 }, (_, at) => `x:{+v${at}}`),
      ),
    ),
    LONG,
  )
  expect(serversOf(found)).toEqual(['a', 'b'])
  expect(found.steps).toBeLessThan(20_000)
})

it('templates that begin as the URI does and end otherwise take steps, whatever they are many of', () => {
  const alike = `x:${'a'.repeat(350)}{b}/`
  const texts = Array.from({ length: 19_000 }, (_, at) => alike + at)
  const found = templateClaims(templatesOf('hostile', texts), `x:${'a'.repeat(8000)}`)
  expect(found.claims).toEqual([])
  expect(found.steps).toBeGreaterThan(19_000)
  expect(found.steps).toBeLessThanOrEqual(MAX_MATCH_STEPS)
  // More than there are steps for.
  const ends = Array.from({ length: 1000 }, (_, at) => `x:{b}${'a'.repeat(4000)}${at}`)
  const long = templateClaims(templatesOf('hostile', ends), `x:${'a'.repeat(8000)}`)
  expect(long).toMatchObject({ claims: [], open: [{ named: 2 }] })
  expect(long.steps).toBeLessThanOrEqual(MAX_MATCH_STEPS + 4000)
})

it('templates that begin otherwise than the URI take a few steps together, however alike the beginnings are', () => {
  const alike = `x:${'a'.repeat(350)}`
  const texts = Array.from({ length: 19_000 }, (_, at) => `${alike}b${at}{c}`)
  const found = templateClaims(templatesOf('hostile', texts), `x:${'a'.repeat(8000)}`)
  expect(found).toMatchObject({ claims: [], open: [] })
  expect(found.steps).toBeLessThan(100)
  expect(templateClaims(templatesOf('a', texts), `${alike}b17x`).claims).toMatchObject([{ named: 355 }])
})

it('a server with thousands of beginnings of beginnings leaves other servers their steps', () => {
  const texts = Array.from({ length: 3000 }, (_, at) => `x:${'a'.repeat(at)}{b}/c`)
  const found = templateClaims(
    [...templatesOf('hostile', texts), ...templatesOf('good', ['x:{+path}'])],
    `x:${'a'.repeat(8000)}`,
  )
  expect(serversOf(found)).toEqual(['good'])
  expect(found.steps).toBeLessThanOrEqual(MAX_MATCH_STEPS)
})

it('a template under the name of its server is found by both names', () => {
  const template = (own: string, exposed: string): Template => ({
    route: { server: 'b', own, exposed },
    template: UriTemplate.parse(own) as UriTemplate,
  })
  const found = templateClaims([template('x:{p}', 'b+x:{p}'), template('b+x:{p}', 'b+x:{p}')], 'b+x:1')
  expect(found.claims).toMatchObject([
    { route: { server: 'b', own: 'b+x:1' }, named: 4 },
    { route: { server: 'b', own: 'x:1' }, named: 4 },
  ])
})

it('the closest template of a server counts, wherever it stands', () => {
  const texts = ['x:{+any}', 'x:aaa{+any}', 'x:a{+any}']
  expect(templateClaims(templatesOf('a', texts), 'x:aaaa').claims).toMatchObject([{ named: 5 }])
})

it('a link does not get a resource of a server whose templates could not be matched within the bounds', () => {
  const both = merged({ owner: NEARLY.map(text => `x:aa${text.slice(2)}`), linking: ['x:{+any}'] })
  expect(both.mayLink('linking', LONG)).toBe(false)
  // What cannot be matched is no claim for its own server.
  expect(merged({ linking: NEARLY, owner: ['x:{+any}'] }).mayLink('linking', LONG)).toBe(false)
  expect(both.mayLink('linking', 'x:b')).toBe(true)
})

it('a server with too many steps is named in the log once', () => {
  const warned: [string, LogFields | undefined][] = []
  const both = merged(
    { hostile: NEARLY, good: ['x:{+path}'] },
    { ...SILENT, warn: (message, fields) => warned.push([message, fields]) },
  )
  for (const uri of [LONG, `${LONG}b`, `x:b${LONG.slice(2)}`, LONG])
    expect(both.owners(uri).map(({ server }) => server)).toEqual(['good'])
  expect(warned).toEqual([
    [expect.stringMatching(/^The resource templates of a server/), { server: 'hostile', maxSteps: 200_000 }],
  ])
})
