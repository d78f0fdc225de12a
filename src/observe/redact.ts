/** Parts of names whose values are secrets, in fields, query parameters, `NAME=value` and JSON members. */
const SECRET_NAME =
  /token|secret|passw|pwd|credential|authorization|cookie|api[-_]?key|access[-_]?key|private[-_]?key|(?:^|[-_.])(?:key|sig|auth|pass)$|signature/i

const MASK = '***'

/** Placeholders for a key in texts that explain the header. */
const PLACEHOLDER = String.raw`bearer (?:<[a-z][a-z ]{0,40}>|…)`
const IS_PLACEHOLDER = new RegExp(`^${PLACEHOLDER}$`, 'i')
/**
 * `authorization:` and everything up to the end of the value. The blanks and quotes in between are matched atomically,
 * through a reference to a lookahead, so that no shorter run of them is tried and mistaken for the value.
 */
const AUTHORIZATION = new RegExp(
  String.raw`\b(authorization\\*["']?\s*[:=](?=(["'\\\s]*))\2)(?!${PLACEHOLDER}(?:["'\x60\\]|$))[^"'\r\n,}]+`,
  'gi',
)

/**
 * Masks secrets in a text for the log: `Bearer …` and other schemes after `Authorization`, user and password in URLs,
 * values of parameters and JSON members with secret names, and tokens with a recognizable form. Linear in the length of
 * `text`.
 */
export function redact(text: string): string {
  return (
    text
      .replace(AUTHORIZATION, `$1${MASK}`)
      .replace(/\b(bearer|basic)\s+[\w.~+/=-]{4,}/gi, `$1 ${MASK}`)
      .replace(/(?<=:\/\/)[^\s/?#"'<>]+@/g, `${MASK}@`)
      .replace(/(?<=["'])([\w.-]{1,80})(\\?["']\s*:\s*\\?["'])([^"'\\]+)/g, maskValue)
      .replace(/(?<![\w.-])([\w.-]{1,80})(=["']?)([^\s&"'#,;]+)/g, maskValue)
      .replace(/mfd_[\w-]{16,}/g, MASK)
      // JWTs, and the token prefixes of well-known services.
      .replace(/(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, MASK)
      .replace(/(?<![\w-])(?:sk|gh[opsur]|github_pat|glpat|xox[abprs])[-_][\w-]{16,}/g, MASK)
  )
}

function maskValue(whole: string, name: string, separator: string, value: string): string {
  return SECRET_NAME.test(name) && !IS_PLACEHOLDER.test(value) ? name + separator + MASK : whole
}

/** Whether a field of this name holds a secret, regardless of its value. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}
