import { describe, expect, test } from 'vitest'
import { parseDuration, parseSize } from '../../../src/config/options/units.ts'

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['60s', 60_000],
    ['1.5m', 90_000],
    ['24h', 86_400_000],
    ['30d', 2_592_000_000],
    ['0s', 0],
    ['never', 0],
    [0, 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['60', '5x', '5 s', '-5s', '', 'Never', 's', '1m30s', 60, null, undefined, NaN])(
    '%s is none',
    text => {
      expect(parseDuration(text)).toBeUndefined()
    },
  )
})

describe('sizes', () => {
  test.each([
    ['512B', 512],
    ['10MB', 10_000_000],
    ['64KiB', 65_536],
    ['4MiB', 4_194_304],
    ['1.5gib', 1_610_612_736],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each(['4', '4 MiB', '4TB', '4M', '', '-1B', 4, null])('%s is none', text => {
    expect(parseSize(text)).toBeUndefined()
  })
})
