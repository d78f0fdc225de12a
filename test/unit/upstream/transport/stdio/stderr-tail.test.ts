import { expect, test } from 'vitest'
import { StderrTail } from '../../../../../src/upstream/transport/stdio/stderr-tail.ts'

const telling = (text: string): string | undefined => {
  const words = new StderrTail()
  for (const line of text.trim().split('\n')) words.add(line)
  return words.telling
}

test('of what npm prints, the line that says what was wrong is shown', () => {
  expect(
    telling(`
npm error code E404
npm error 404 Not Found - GET https://registry.example/@x%2fy - Not found
npm error 404
npm error 404  '@x/y@*' is not in this registry.
npm error 404
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git folder.
npm error A complete log of this run can be found in: /home/x/.npm/_logs/2026-debug-0.log`),
  ).toBe("npm error 404  '@x/y@*' is not in this registry.")
})

test('of what Node prints, the error and not its version', () => {
  expect(
    telling(`
node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module '/srv/server.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15) {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.20.2`),
  ).toBe("Error: Cannot find module '/srv/server.js'")
})

test('of a Python traceback, its last line', () => {
  expect(
    telling(`
Traceback (most recent call last):
  File "/srv/server.py", line 1, in <module>
    import nothing_there
ModuleNotFoundError: No module named 'nothing_there'`),
  ).toBe("ModuleNotFoundError: No module named 'nothing_there'")
})
