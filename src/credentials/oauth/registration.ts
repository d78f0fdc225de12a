/** What an authorization server knows the gateway as. */
export interface Registration {
  readonly clientId: string
  readonly clientSecret?: string
  /** `configured`: by the file; `document`: by the address of a document (CIMD); `dynamic`: by registration (DCR). */
  readonly kind: 'configured' | 'document' | 'dynamic'
  /** Of a dynamic registration: the address it was made with. */
  readonly redirectUri?: string
  /** Of a dynamic registration: how the gateway authenticates at the token endpoint, as the server has decided. */
  readonly authMethod?: string
  /** Of a dynamic registration: Unix milliseconds at which the secret ends. */
  readonly secretExpiresAt?: number
}
