import type { Store } from '../../src/state/store.ts'

/** The same store, for a gateway that ends before it does. */
export function unclosed(store: Store): Store {
  const close = (): Promise<void> => Promise.resolve()
  return new Proxy(store, {
    get: (target, name: keyof Store) => {
      const value = target[name]
      return name === 'close' ? close : typeof value === 'function' ? value.bind(target) : value
    },
  })
}
