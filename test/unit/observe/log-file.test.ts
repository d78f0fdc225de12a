import { expect, it } from 'vitest'
import { LogFile } from '../../../src/observe/log-file.ts'

/** A log file with room for so many bytes. */
function withRoom(bytes: number): { log: LogFile; disk: { text: string; room: number } } {
  const disk = { text: '', room: bytes }
  const append = (wanted: Buffer): number => {
    if (disk.room === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const fits = wanted.subarray(0, disk.room)
    disk.text += fits.toString()
    disk.room -= fits.length
    return fits.length
  }
  return { disk, log: new LogFile({ append, lost: count => `${count} lost` }) }
}

it('a log on a disk that was full goes on when there is room again, and says how much is lost', () => {
  const { log, disk } = withRoom(15)
  let errors = 0
  log.on('error', () => errors++)
  for (let number = 0; number < 1000; number++) log.write(`record ${number}\n`)
  disk.room = 1e6
  log.write('')
  log.write('works again\n')
  log.write('as before\n')
  expect(disk.text).toBe('record 0\nrecord\n999 lost\nworks again\nas before\n')
  expect(errors).toBe(0)
  expect(log.writable).toBe(true)
})

it('a log whose room ends within the line about what is lost counts on', () => {
  const { log, disk } = withRoom(0)
  log.write('a\n')
  disk.room = 3
  log.write('b\n')
  disk.room = 1e6
  log.write('c\n')
  expect(disk.text).toBe('1 l\n2 lost\nc\n')
})
