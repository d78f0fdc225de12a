import type { ListedRecord, RecordName, Vault, VaultRecord } from '../../src/vault/vault.ts'

/** A vault in memory, which several gateways of one test share. Runs for one name exclude each other. */
export class MemoryVault implements Vault {
  isShared = true
  readonly records = new Map<string, VaultRecord<unknown>>()
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #listeners = new Map<string, Set<() => void>>()
  readonly #held = new Set<string>()
  /** Called before a record is written. */
  onWrite: ((record: VaultRecord<unknown>) => void) | undefined

  async read<T>(name: RecordName): Promise<VaultRecord<T> | undefined> {
    await Promise.resolve()
    return structuredClone(this.records.get(keyOf(name))) as VaultRecord<T> | undefined
  }

  async write<T>(name: RecordName, record: VaultRecord<T>): Promise<void> {
    this.onWrite?.(record)
    await Promise.resolve()
    this.records.set(keyOf(name), structuredClone(record))
    this.#changed(name)
  }

  async remove(name: RecordName, isIt?: (record: VaultRecord<unknown>) => boolean): Promise<boolean> {
    await Promise.resolve()
    const record = this.records.get(keyOf(name))
    if (!record || (isIt && !isIt(record))) return false
    this.records.delete(keyOf(name))
    this.#changed(name)
    return true
  }

  list(): Promise<readonly ListedRecord[]> {
    return Promise.resolve([])
  }

  async exclusively<T>(
    name: RecordName,
    run: (own: { readonly signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const key = keyOf(name)
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(async () => {
      if (this.#held.has(key)) throw new Error('two runs at once')
      this.#held.add(key)
      try {
        return await run({ signal: new AbortController().signal })
      } finally {
        this.#held.delete(key)
      }
    })
    this.#turns.set(
      key,
      turn.catch(() => undefined),
    )
    return await turn
  }

  onChanged(name: RecordName, listener: () => void): () => void {
    const key = keyOf(name)
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners.add(listener))
    return () => void listeners.delete(listener)
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
