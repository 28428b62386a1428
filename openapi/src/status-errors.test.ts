import { errorCodes } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import { printStatusErrors } from './status-errors.ts'

test('makes one class for each status, named as HTTP names it', () => {
  const { internal_error, not_found, in_use, conflict } = errorCodes
  const text = printStatusErrors({ internal_error, not_found, in_use, conflict })
  expect([...text.matchAll(/^export class (\w+)/gm)].map(([, name]) => name)).toEqual([
    'NotFoundError',
    'ConflictError',
    'InternalServerError',
  ])
  expect(text).toContain("declare readonly code: 'in_use' | 'conflict' | (string & {})")
})
