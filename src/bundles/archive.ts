import { GatewayError } from '../core/errors.ts'
import { readRegularFile, whyUnreadable } from '../regular-file.ts'

/** Bounds of a bundle. What unpacks to more is refused before it is unpacked. */
export interface BundleLimits {
  readonly maxArchiveBytes: number
  readonly maxFiles: number
  readonly maxBytes: number
}

const LIMITS: BundleLimits = {
  maxArchiveBytes: 128 * 1024 * 1024,
  maxFiles: 20_000,
  maxBytes: 256 * 1024 * 1024,
}
const MAX_PATH_CHARS = 400
const MAX_PATH_PARTS = 32

/** Path in the bundle, with `/` → content. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>

/**
 * Reads the files of a `.mcpb`, which is a zip archive.
 * @throws GatewayError `config` for what is no such archive, is too large, or holds a path that leads out of it
 */
export async function readArchive(path: string, limits: BundleLimits = LIMITS): Promise<BundleFiles> {
  const bytes = await contentOf(path, limits.maxArchiveBytes)
  const { unzipSync } = await import('fflate')
  const seen = new Set<string>()
  let [files, packedBytes, unpackedBytes] = [0, 0, 0]
  let unpacked: Record<string, Uint8Array>
  try {
    unpacked = unzipSync(bytes, {
      filter: ({ name, size, originalSize, compression }) => {
        checkPath(name, path)
        if (++files > limits.maxFiles) throw refused(path, `holds more than ${limits.maxFiles} files`)
        // What is stored as it is has the packed size, whatever it says of the other.
        if (compression === 0 && size !== originalSize)
          throw refused(path, `gives two sizes for ${JSON.stringify(name)}`)
        packedBytes += size
        if (packedBytes > bytes.length) throw refused(path, 'holds files that overlap')
        unpackedBytes += originalSize
        if (unpackedBytes > limits.maxBytes)
          throw refused(path, `unpacks to more than ${limits.maxBytes} bytes`)
        if (name.endsWith('/')) return false
        // File systems that ignore case would write one over the other.
        const key = name.toLowerCase()
        if (seen.has(key)) throw refused(path, `holds ${JSON.stringify(name)} twice`)
        seen.add(key)
        return true
      },
    })
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw refused(path, 'is no readable zip archive', error)
  }
  return new Map(Object.entries(unpacked))
}

async function contentOf(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    return await readRegularFile(path, maxBytes)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw refused(
      path,
      code === 'EFBIG' ? `has more than ${maxBytes} bytes` : `was not read: ${whyUnreadable(error)}`,
      error,
    )
  }
}

function checkPath(name: string, path: string): void {
  const parts = name.replace(/\/$/, '').split('/')
  const isBad =
    name.length > MAX_PATH_CHARS ||
    parts.length > MAX_PATH_PARTS ||
    // oxlint-disable-next-line no-control-regex
    /[\\:\0-\x1f\x7f]/.test(name) ||
    parts.some(
      part => part === '' || part === '.' || part === '..' || part === '__proto__' || /[. ]$/.test(part),
    )
  if (isBad)
    throw refused(
      path,
      `holds the path ${JSON.stringify(name.slice(0, 100))}, which is not allowed in a bundle`,
    )
}

function refused(path: string, why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'config',
    `The bundle ${path} ${why}. Nothing was added.`,
    cause === undefined ? {} : { cause },
  )
}
