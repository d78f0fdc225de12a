import { describe, expect, it } from 'vitest'
import { RELATED_TASK, relatedTaskOf, renameTask, renameTaskIn } from '../../../src/protocol/related-task.ts'

const mark = (id: string): string => `"${RELATED_TASK}":{"taskId":"${id}","x":1.0}`
const renamed = (text: string, to: string | undefined): string =>
  renameTask({ text, value: JSON.parse(text) as unknown }, 'own', to)

describe('renaming a task', () => {
  it.each([
    ['a task', '{"taskId":"own","n":1.0}', '{"taskId":"new","n":1.0}'],
    ['a task that was made', '{"task":{"taskId":"own","n":1.0}}', '{"task":{"taskId":"new","n":1.0}}'],
    ['a mark', `{"n":1.0,"_meta":{"a":2.0,${mark('own')}}}`, `{"n":1.0,"_meta":{"a":2.0,${mark('new')}}}`],
    ['another task', `{"taskId":"other","_meta":{${mark('other')}}}`, undefined],
    ['a word in the content', '{"content":[{"taskId":"own"}],"task":"own"}', undefined],
    ['marks of the wrong form', `{"_meta":{"${RELATED_TASK}":"own"}}`, undefined],
    ['no object', '["own"]', undefined],
  ])('changes %s where it is meant', (_, text, expected) => {
    expect(renamed(text, 'new')).toBe(expected ?? text)
  })

  it('without a name removes the mark and nothing else', () => {
    expect(renamed(`{"n":1.0,"_meta":{"a":2.0,${mark('own')}}}`, undefined)).toBe(
      '{"n":1.0,"_meta":{"a":2.0}}',
    )
    expect(renamed(`{"n":1.0,"_meta":{${mark('own')}}}`, undefined)).toBe('{"n":1.0}')
    expect(renamed('{"taskId":"own"}', undefined)).toBe('{"taskId":"own"}')
  })

  it('finds an id that is escaped', () => {
    expect(renameTaskIn('{"taskId":"\\u006fwn"}', 'own', 'new')).toBe('{"taskId":"new"}')
  })
})

it('a mark is read only where it is one', () => {
  expect(relatedTaskOf(JSON.parse(`{"_meta":{${mark('own')}}}`))).toBe('own')
  for (const text of [
    'null',
    '7',
    '{"_meta":null}',
    '{"_meta":[]}',
    `{"_meta":{"${RELATED_TASK}":{"taskId":7}}}`,
  ])
    expect(relatedTaskOf(JSON.parse(text))).toBeUndefined()
})
