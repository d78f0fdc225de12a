// @ts-check
/**
 * Stands between a client and a stdio server, passes every byte on, and tells a listener each message that goes by.
 * Usage: `node tap.js <port of the listener> <command> [arguments]`.
 */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const [port, command, ...args] = process.argv.slice(2)
const listener = connect(Number(port), '127.0.0.1')
// The tap must never be the reason that a conversation breaks.
listener.on('error', () => {})
const server = spawn(command ?? '', args, { stdio: ['pipe', 'pipe', 'inherit'] })

/** @param {import('node:stream').Readable} from @param {'client' | 'server'} side */
function watch(from, side) {
  createInterface({ input: from }).on('line', line => {
    if (listener.writable) listener.write(`{"pid":${process.pid},"from":"${side}","message":${line}}\n`)
  })
}

process.stdin.pipe(server.stdin)
server.stdout.pipe(process.stdout)
watch(process.stdin, 'client')
watch(server.stdout, 'server')
server.stdin.on('error', () => {})
process.on('SIGTERM', () => server.kill('SIGTERM'))
server.on('exit', code => {
  listener.end()
  process.exitCode = code ?? 1
})
server.on('close', () => process.exit())
