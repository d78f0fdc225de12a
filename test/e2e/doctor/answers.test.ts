import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { diagnose } from '../../helpers/diagnose.ts'
import { answering, olderTransport, streamable } from '../../helpers/http-fault.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import type { RequestListener } from 'node:http'

/** Faults of what a server with a URL answers, one test each. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

const at = (url: string, more: object = {}): object => ({ mcpServers: { a: { url, oauth: false, ...more } } })

/** Answers each request with this status. */
const status =
  (code: number, body = '', headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    void response.writeHead(code, headers).end(body)

describe('doctor finds, in what a server answers,', () => {
  test('that it refuses the token', async () => {
    await using server = await answering(status(401))
    const found = await diagnose(
      scratch,
      at(server.url, { headers: { Authorization: 'Bearer secret-word' } }),
    )
    const { layer, set } = found.only('upstream_unauthorized')
    expect({ code: found.code, layer }).toEqual({ code: 16, layer: 'credentials' })
    expect(set).toEqual({ key: 'mcpServers.a.headers.Authorization', value: 'Bearer ${TOKEN}' })
    expect(JSON.stringify(found)).not.toContain('secret-word')
  })

  test('that it does not permit the access', async () => {
    await using server = await answering(status(403))
    const found = await diagnose(scratch, at(server.url))
    expect(found.only('upstream_forbidden')).toMatchObject({ layer: 'credentials', server: 'a' })
    expect(found.code).toBe(16)
  })

  test('that it needs a login, and how to log in', async () => {
    await using issuer = await startAuthorizationServer()
    await using server = await startProtectedServer({ issuer: issuer.issuer })
    const found = await diagnose(scratch, { mcpServers: { mail: { url: server.url } } })
    const { layer, command } = found.only('needs_login')
    expect({ code: found.code, layer }).toEqual({ code: 16, layer: 'credentials' })
    expect(command).toMatch(/ login mail\b/)
  })

  test('a path where there is nothing', async () => {
    await using server = await answering(status(404))
    const found = await diagnose(scratch, at(server.url.replace('/mcp', '/api')))
    const { layer, set } = found.only('wrong_path')
    expect({ code: found.code, layer }).toEqual({ code: 18, layer: 'protocol' })
    expect(set).toEqual({ key: 'mcpServers.a.url', value: server.url })
  })

  test('a web page', async () => {
    await using server = await answering(
      status(200, '<!doctype html><title>Product</title>', { 'content-type': 'text/html' }),
    )
    const found = await diagnose(scratch, at(server.url.replace('/mcp', '/')))
    expect(found.only('web_page')).toMatchObject({
      layer: 'protocol',
      set: { key: 'mcpServers.a.url', value: server.url },
    })
    expect(found.code).toBe(18)
  })

  test('a redirection, and its target', async () => {
    const location = 'https://www.search.example/mcp'
    await using server = await answering(status(308, '', { location }))
    const found = await diagnose(scratch, at(server.url))
    expect(found.only('redirected')).toMatchObject({
      layer: 'protocol',
      set: { key: 'mcpServers.a.url', value: location },
    })
  })

  test('that it fails', async () => {
    await using server = await answering(status(502, 'bad gateway'))
    const found = await diagnose(scratch, at(server.url))
    expect(found.only('server_fails')).toMatchObject({ layer: 'protocol', server: 'a' })
    expect(found.only('server_fails').cause).toContain('502')
    expect(found.code).toBe(18)
  })

  test('the older transport where "type" insists on the newer', async () => {
    await using server = await answering(olderTransport())
    const found = await diagnose(scratch, at(server.url, { type: 'streamable-http' }))
    expect(found.only('wrong_transport')).toMatchObject({
      layer: 'protocol',
      set: { key: 'mcpServers.a.type', value: 'sse' },
    })
    expect(found.code).toBe(18)
  })

  test('the newer transport where "type" says the older', async () => {
    await using server = await answering(streamable)
    const found = await diagnose(scratch, at(server.url, { type: 'sse' }))
    expect(found.only('wrong_transport')).toMatchObject({
      layer: 'protocol',
      set: { key: 'mcpServers.a.type', value: 'http' },
    })
  })

  test('the older transport where no "type" is written', async () => {
    await using server = await answering(olderTransport())
    const found = await diagnose(scratch, at(server.url.replace('/mcp', '/sse')))
    expect(found.only('deprecated_transport')).toMatchObject({
      layer: 'protocol',
      severity: 'warning',
      set: { key: 'mcpServers.a.url', value: server.url },
    })
    expect(found.servers).toMatchObject([{ transport: 'sse' }])
  })

  test('JSON that is no MCP', async () => {
    await using server = await answering(
      status(200, '{"status":"ok"}', { 'content-type': 'application/json' }),
    )
    const found = await diagnose(scratch, at(server.url, { startTimeout: '3s' }))
    expect(found.only('upstream_protocol')).toMatchObject({ layer: 'protocol', server: 'a' })
    expect(found.code).toBe(18)
  })

  test('that it takes the request and never answers', async () => {
    await using server = await answering(() => undefined)
    const found = await diagnose(scratch, at(server.url, { startTimeout: '1s' }))
    expect(found.only('start_timeout')).toMatchObject({ layer: 'start', server: 'a' })
  })
})
