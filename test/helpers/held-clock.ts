import { vi } from 'vitest'

/** Holds the steady clock of this process, and of a gateway in it: it advances by `advance` alone. Timers go on. */
export class HeldClock implements Disposable {
  #now = performance.now()
  readonly #spy = vi.spyOn(performance, 'now').mockImplementation(() => this.#now)

  advance(ms: number): void {
    this.#now += ms
  }

  [Symbol.dispose](): void {
    this.#spy.mockRestore()
  }
}
