import { randomBytes } from 'node:crypto'
import type { ServerConfig } from '../../src/config/types.ts'
import type { GatewayError } from '../../src/core/errors.ts'
import type { Authorizer, PendingAuthorization } from '../../src/credentials/oauth/authorization.ts'
import { configFrom } from '../../src/config/load/load.ts'
import type { RecordName, Vault, VaultRecord } from '../../src/vault/vault.ts'

/** A vault of one process, with everything as readable as it was written. Several gateways may share it. */
export class OpenVault implements Vault {
  isShared = true
  readonly records = new Map<string, VaultRecord<unknown>>()
  readonly #listeners = new Map<string, Set<() => void>>()
  #turn: Promise<unknown> = Promise.resolve()

  read<T>(name: RecordName): Promise<VaultRecord<T> | undefined> {
    const record = this.records.get(keyOf(name)) as VaultRecord<T> | undefined
    return Promise.resolve(record && (JSON.parse(JSON.stringify(record)) as VaultRecord<T>))
  }

  async write<T>(name: RecordName, record: VaultRecord<T>): Promise<void> {
    await Promise.resolve()
    this.records.set(keyOf(name), record)
    this.#changed(name)
  }

  remove(name: RecordName): Promise<boolean> {
    const was = this.records.delete(keyOf(name))
    this.#changed(name)
    return Promise.resolve(was)
  }

  list(): Promise<[]> {
    return Promise.resolve([])
  }

  exclusively<T>(_name: RecordName, run: (own: { readonly signal: AbortSignal }) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => run({ signal: new AbortController().signal }))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  onChanged(name: RecordName, listener: () => void): () => void {
    const key = keyOf(name)
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(key)
    }
  }

  /** Records that are followed. */
  get followed(): number {
    return this.#listeners.size
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #changed(name: RecordName): void {
    for (const listener of this.#listeners.get(keyOf(name)) ?? []) listener()
  }
}

function keyOf({ kind, server, owner }: RecordName): string {
  return JSON.stringify([kind, server, owner])
}

/** An authorization server that grants every login whose callback has the code `good`. */
export class GrantingAuthorizer implements Authorizer {
  readonly vault: OpenVault
  readonly begun: PendingAuthorization[] = []
  readonly finished: PendingAuthorization[] = []
  /** What `begin` rejects with. */
  refusal: GatewayError | undefined
  /** What `finish` waits for. */
  held: Promise<void> = Promise.resolve()

  constructor(vault: OpenVault) {
    this.vault = vault
  }

  async begin({ name }: ServerConfig, owner: string, redirectUri: string) {
    await Promise.resolve()
    if (this.refusal) throw this.refusal
    const state = randomBytes(24).toString('base64url')
    const pending: PendingAuthorization = {
      server: name,
      owner,
      serverUrl: 'https://mail.example/mcp',
      state,
      verifier: `verifier-of-${state}`,
      redirectUri,
      issuer: 'https://as.example',
      clientId: 'manifold',
      tokenEndpoint: 'https://as.example/token',
      resource: undefined,
      scope: undefined,
      startedAt: Date.now(),
    }
    this.begun.push(pending)
    return { url: `https://as.example/authorize?state=${state}`, pending }
  }

  async finish(pending: PendingAuthorization, callback: URLSearchParams): Promise<void> {
    await this.held
    if (callback.get('code') !== 'good') throw new Error('the authorization server said secret-of-the-as')
    this.finished.push(pending)
    const { server, owner, issuer } = pending
    await this.vault.write(
      { kind: 'tokens', server, owner },
      { issuer, value: { obtainedAt: this.finished.length } },
    )
  }
}

/** The configuration of one remote server. */
export async function remoteServer(entry: object = {}): Promise<ServerConfig> {
  const { servers } = await configFrom(
    { mcpServers: { mail: { url: 'https://mail.example/mcp', ...entry } } },
    { env: {} },
  )
  return servers[0] as ServerConfig
}
