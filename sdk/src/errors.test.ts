import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  isNarrowError,
  NarrowAbortError,
  NarrowApiError,
  NarrowConnectionError,
  NarrowError,
  NarrowResponseError,
  NarrowTimeoutError,
  UpstreamResponseError,
} from './errors.ts'

const context = { operation: 'actions.create', attempts: 2, idempotencyKey: 'sdk-1' }
const answer = {
  status: 429,
  headers: new Headers({ 'x-request-id': 'req_1', 'x-execution-id': 'exe_1' }),
  body: { note: 'from upstream' },
  retryAfterMs: 1000,
}
const apiError = new NarrowApiError('rate_limited', 'Wait', context, {
  ...answer,
  retryable: true,
  details: [],
})
const upstreamError = new UpstreamResponseError(context, answer)

describe('errors', () => {
  it('are instances of their classes and of those above, and of no other', () => {
    expect(apiError).toBeInstanceOf(NarrowApiError)
    expect(apiError).toBeInstanceOf(NarrowResponseError)
    expect(apiError).toBeInstanceOf(NarrowError)
    expect(apiError).toBeInstanceOf(Error)
    expect(apiError).not.toBeInstanceOf(UpstreamResponseError)
    expect(upstreamError).not.toBeInstanceOf(NarrowApiError)
    expect(new NarrowAbortError(context, 'why')).not.toBeInstanceOf(NarrowTimeoutError)
    for (const value of [undefined, null, 1, 'error', {}, new Error('other')]) {
      expect(value instanceof NarrowError).toBe(false)
    }
  })

  it('are recognised by another copy of the package', async () => {
    const copy: typeof import('./errors.ts') = await import(`${'./errors.ts'}?copy`)
    expect(copy.NarrowApiError).not.toBe(NarrowApiError)
    expect(apiError).toBeInstanceOf(copy.NarrowApiError)
    expect(apiError).not.toBeInstanceOf(copy.NarrowTimeoutError)
    expect(copy.isNarrowError(apiError, 'rate_limited')).toBe(true)
  })

  it('do not make instances of a subclass that somebody else wrote', () => {
    class Mine extends NarrowApiError {}
    expect(apiError instanceof Mine).toBe(false)
    const mine = new Mine('conflict', '', context, { ...answer, retryable: false, details: [] })
    expect(mine).toBeInstanceOf(Mine)
    expect(mine).toBeInstanceOf(NarrowApiError)
  })

  it('are told apart by code, with the fields of the code', () => {
    const error: unknown = apiError
    expect(isNarrowError(error)).toBe(true)
    expect(isNarrowError(error, 'not_found')).toBe(false)
    expect(isNarrowError(error, 'not_found', 'rate_limited')).toBe(true)
    expect(isNarrowError(new Error('other'))).toBe(false)
    if (isNarrowError(error, 'rate_limited')) {
      expectTypeOf(error.code).toEqualTypeOf<'rate_limited'>()
      expectTypeOf(error.retryAfterMs).toEqualTypeOf<number | undefined>()
    }
    if (isNarrowError(error, 'timeout')) expectTypeOf(error.timeoutMs).toEqualTypeOf<number>()
  })

  it('are written to logs without causes and upstream bodies', () => {
    expect(JSON.parse(JSON.stringify(upstreamError))).toEqual({
      name: 'UpstreamResponseError',
      code: 'upstream_response',
      message: 'The upstream answered actions.create with 429',
      operation: 'actions.create',
      attempts: 2,
      idempotencyKey: 'sdk-1',
      status: 429,
      requestId: 'req_1',
      retryAfterMs: 1000,
      executionId: 'exe_1',
    })
    const cut = new NarrowConnectionError(context, new Error('Bearer sk_secret'))
    expect(JSON.stringify(cut)).not.toContain('sk_secret')
    expect(cut.cause).toBeInstanceOf(Error)
  })

  it('show their name in stacks', () => {
    expect(String(apiError)).toBe('NarrowApiError: Wait')
  })
})
