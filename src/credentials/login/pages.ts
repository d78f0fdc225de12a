import { createHash } from 'node:crypto'
import type { PageAnswer } from '../../core/page.ts'

/**
 * The pages of logins: plain HTML without scripts, secrets or foreign text. Every value is escaped, and nothing that an
 * authorization server sends is among them.
 */

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1.25rem;color:#1b1f24;background:#fff}' +
  'h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem}' +
  'dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1rem;margin:1.25rem 0}dt{color:#57606a}' +
  'dd{margin:0;overflow-wrap:anywhere}' +
  'button{font:inherit;padding:.55rem 1.1rem;border:0;border-radius:.4rem;color:#fff;background:#0b57d0;cursor:pointer}' +
  'p.note{color:#57606a;font-size:.92rem}' +
  '@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}dt,p.note{color:#9198a1}}'

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

const HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  // There is no form-action: browsers apply it to every redirect that follows a form, and a login goes through hosts
  // that the gateway does not know.
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, sign => ESCAPES[sign] as string)
}

/** What a login is for, as people read it. */
export interface LoginAbout {
  readonly server: string
  /** Host of the server. */
  readonly at: string
  /** Host of the authorization server. */
  readonly loginAt: string
  /** Which calls will use the login. */
  readonly usedBy: string
}

/** The page that asks before a login begins. `confirm` proves that the form is of this page. */
export function confirmPage(
  about: LoginAbout,
  confirm: string,
  headers: Readonly<Record<string, string>>,
): PageAnswer {
  const { server, at, loginAt, usedBy } = about
  return page(
    200,
    `Log in to ${server}?`,
    '<p>An MCP gateway asks you to log in to a server, so that it can call its tools with your account.</p>' +
      `<dl><dt>Server</dt><dd>${escapeHtml(server)} (${escapeHtml(at)})</dd>` +
      `<dt>Login at</dt><dd>${escapeHtml(loginAt)}</dd>` +
      `<dt>Used by</dt><dd>${escapeHtml(usedBy)}</dd></dl>` +
      '<p><b>Go on only if you have just asked for this login yourself.</b> ' +
      'A link that another person has sent you would let that person use your account.</p>' +
      `<form method="post"><input type="hidden" name="confirm" value="${escapeHtml(confirm)}">` +
      '<button type="submit">Continue to the login</button></form>' +
      '<p class="note">To refuse, close this page. Nothing is stored.</p>',
    headers,
  )
}

/** A page that says how a login stands. `text` is plain text. */
export function messagePage(status: number, title: string, text: string): PageAnswer {
  return page(status, title, `<p>${escapeHtml(text)}</p>`)
}

/** Sends the browser on. */
export function redirectTo(url: string): PageAnswer {
  return { status: 303, headers: { ...HEADERS, location: url }, body: '' }
}

function page(
  status: number,
  title: string,
  content: string,
  headers: Readonly<Record<string, string>> = {},
): PageAnswer {
  const shown = escapeHtml(title)
  const body =
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${shown}</title>` +
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">' +
    `<style>${STYLE}</style></head><body><main><h1>${shown}</h1>${content}</main></body></html>\n`
  return { status, headers: { ...HEADERS, ...headers }, body }
}
