import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { askAdmin, envOf, folderForTest } from '../../helpers/admin-client.ts'
import { Scrape } from '../../helpers/scrape.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { BIN, freePort, serve } from '../../helpers/served.ts'
import { ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

const TOKEN = 'token-of-the-scraper'
const here = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url))
const ALERTS = here('deploy/prometheus/alerts.yml')
const DASHBOARD = here('deploy/prometheus/dashboard.json')
const hasPromtool = spawnSync('promtool', ['--version']).status === 0

/** A gateway that has answered some calls, as a scraper reads it. */
async function scraped(gateway: object = {}): Promise<{ at: string; scrape: Scrape; type: string }> {
  const server = await scriptedHttp()
  onTestFinished(() => server[Symbol.asyncDispose]())
  server.results.set('tools/call', '{"content":[]}')
  const folder = folderForTest()
  const port = await freePort()
  const file = folder.write('servers.json', {
    mcpServers: { 'a "quoted" name\\': server.entry },
    gateway: {
      http: { port: await freePort() },
      state: 'memory',
      admin: { listen: `127.0.0.1:${port}`, token: TOKEN },
      ...gateway,
    },
  })
  const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
  onTestFinished(async () => void (await served.stop()))
  await using client = new ModernHttp(served.origin)
  const list = (): Promise<string> => client.request('1', 'tools/list', withEnvelope('{}'))
  await expect.poll(list, { timeout: 20_000 }).toContain('__t"')
  const name = (/"name":"((?:[^"\\]|\\.)*__t)"/.exec(await list()) ?? [])[1]
  await client.request('2', 'tools/call', withEnvelope(`{"name":"${name}","arguments":{}}`))
  const at = `http://127.0.0.1:${port}`
  const { text, headers } = await askAdmin(at, {
    path: '/metrics',
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  return { at, scrape: new Scrape(text), type: String(headers['content-type']) }
}

describe('/metrics', () => {
  test('needs the token, and answers in the format that the scraper wants', async () => {
    const { at, scrape, type } = await scraped()
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(scrape.of('manifold_requests_total', { method: 'tools/call', result: 'ok' })).toMatchObject([
      { value: 1, labels: { server: 'a "quoted" name\\', name: 't' } },
    ])
    expect(scrape.sum('process_resident_memory_bytes')).toBeGreaterThan(1e7)
    expect((await askAdmin(at, { path: '/metrics' })).status).toBe(401)
    const open = await askAdmin(at, {
      path: '/metrics',
      headers: { authorization: `Bearer ${TOKEN}`, accept: 'application/openmetrics-text;version=1.0.0' },
    })
    expect(open.headers['content-type']).toContain('application/openmetrics-text')
    expect(open.text.trimEnd()).toMatch(/# EOF$/)
  })

  test('is not there where the configuration wants none', async () => {
    const folder = folderForTest()
    const port = await freePort()
    const file = folder.write('servers.json', {
      mcpServers: {},
      gateway: {
        http: { port: await freePort() },
        state: 'memory',
        metrics: { enabled: false },
        admin: { listen: `127.0.0.1:${port}`, token: TOKEN },
      },
    })
    const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
    onTestFinished(async () => void (await served.stop()))
    const headers = { authorization: `Bearer ${TOKEN}` }
    // The admin API listens after the endpoint does.
    const ask = () =>
      askAdmin(`http://127.0.0.1:${port}`, { path: '/metrics', headers }).catch(() => undefined)
    await expect.poll(async () => (await ask())?.status, { timeout: 20_000 }).toBe(404)
    expect((await ask())?.body.detail).toContain('"gateway.metrics.enabled"')
  })

  test.skipIf(!hasPromtool)('is what promtool takes', async () => {
    const { scrape } = await scraped()
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: scrape.text,
      encoding: 'utf8',
    })
    const own = `${stdout}${stderr}`.split('\n').filter(line => /^(?:manifold|mcp)_|^error/i.test(line))
    expect({ own, failed: status !== 0 && status !== 3 }).toEqual({ own: [], failed: false })
  })
})

/** The expressions of the alerts and of the dashboard. */
function expressions(): string[] {
  const { groups } = parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: { expr: string }[] }[] }
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    panels: { targets: { expr: string }[] }[]
  }
  return [
    ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ]
}

describe('alerts and dashboard', () => {
  test('name metrics and labels that a scrape has', async () => {
    const { scrape } = await scraped()
    const kinds = new Map(
      [...scrape.text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => [name, kind]),
    )
    const labels = new Set([
      ...scrape.samples.flatMap(sample => Object.keys(sample.labels)),
      // A scraper adds the first one, and the others are of metrics without a sample yet.
      'instance',
      'limit',
      'outcome',
    ])
    for (const expression of expressions()) {
      const named = [...expression.matchAll(/\b(?:manifold|mcp|nodejs|process)_\w+/g)].map(([name]) => name)
      expect(named.length, expression).toBeGreaterThan(0)
      for (const name of named) {
        const base = name.replace(/_(?:bucket|sum|count)$/, '')
        const isPart = base !== name
        expect(isPart ? kinds.get(base) : kinds.get(name), name).toMatch(
          isPart ? /^histogram$/ : /^(?:counter|gauge)$/,
        )
        // What only grows is looked at as a rate.
        if (kinds.get(name) === 'counter') expect(expression).toMatch(/\b(?:rate|increase)\(/)
      }
      const used = [
        ...[...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
        ...[...expression.matchAll(/(\w+)\s*(?:=~|!=|!~|=)\s*"/g)].map(([, name = '']) => name),
      ]
      expect(
        used.filter(label => !labels.has(label)),
        expression,
      ).toEqual([])
    }
  })

  test.skipIf(!hasPromtool)('are what promtool takes', () => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', ALERTS], { encoding: 'utf8' })
    expect({ status, said: stdout + stderr }).toMatchObject({ status: 0 })
  })

  test('have a summary and a step for each alert, and each panel has a place of its own', () => {
    const { groups } = parse(readFileSync(ALERTS, 'utf8')) as {
      groups: { rules: { annotations: Record<string, string> }[] }[]
    }
    for (const { annotations } of groups.flatMap(({ rules }) => rules))
      expect(annotations).toMatchObject({ summary: expect.any(String), what_to_do: expect.any(String) })
    const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
      panels: { gridPos: { x: number; y: number; w: number; h: number } }[]
    }
    const taken = new Set<string>()
    for (const { gridPos: at } of panels) {
      expect(at.x + at.w).toBeLessThanOrEqual(24)
      for (let x = at.x; x < at.x + at.w; x++)
        for (let y = at.y; y < at.y + at.h; y++) {
          expect(taken.has(`${x} ${y}`)).toBe(false)
          taken.add(`${x} ${y}`)
        }
    }
  })
})
