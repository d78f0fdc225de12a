import type { Principal } from '../core/principal.ts'
import type { Credential, Evidence } from '../front/authenticator.ts'

/** Several credentials that one request shows for one identity. It ends with the first of them that ends. */
export class JointCredential implements Credential {
  readonly principal: Principal
  readonly evidence: Extract<Evidence, { readonly by: 'all' }>

  /** @param first decides what the caller may do */
  constructor(first: Credential, ...others: readonly Credential[]) {
    this.principal = first.principal
    this.evidence = { by: 'all', of: [first, ...others] }
  }

  /** A revocation of any of them counts at once. */
  get expiresAt(): number {
    return Math.min(...this.evidence.of.map(({ expiresAt }) => expiresAt))
  }

  get renewable(): boolean {
    const { expiresAt } = this
    return this.evidence.of.every(one => one.renewable || one.expiresAt > expiresAt)
  }
}
