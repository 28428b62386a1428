import { errorCodes } from '@narrowapi/contract'
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
import * as statusErrors from './generated/status-errors.ts'
import { TooManyRequestsError } from './generated/status-errors.ts'

const context = { operation: 'actions.create', attempts: 2, idempotencyKey: 'sdk-1' }
const answer = {
  ...context,
  status: 429,
  requestId: 'req_1',
  retryAfterMs: 1000,
  body: { note: 'from upstream' },
}
const apiError = new NarrowError('NarrowApiError', 'rate_limited', 'Wait', { ...answer, details: [] })
const upstreamError = new NarrowError('UpstreamResponseError', 'upstream_response', 'It answered with 429', {
  ...answer,
  executionId: 'exe_1',
})
const abortError = new NarrowError('NarrowAbortError', 'aborted', 'Aborted', { ...context, cause: 'why' })
const cause = new Error('Bearer sk_secret')
const connectionError = new NarrowError('NarrowConnectionError', 'connection_failed', 'Cut', {
  ...context,
  cause,
})

describe('errors', () => {
  it('are instances of their classes and of those above, and of no other', () => {
    expect(apiError).toBeInstanceOf(NarrowApiError)
    expect(apiError).toBeInstanceOf(NarrowResponseError)
    expect(apiError).toBeInstanceOf(NarrowError)
    expect(apiError).toBeInstanceOf(Error)
    expect(apiError).not.toBeInstanceOf(UpstreamResponseError)
    expect(upstreamError).not.toBeInstanceOf(NarrowApiError)
    expect(abortError).toBeInstanceOf(NarrowAbortError)
    expect(abortError).not.toBeInstanceOf(NarrowTimeoutError)
    expect(abortError.cause).toBe('why')
    expect(connectionError).toBeInstanceOf(NarrowConnectionError)
    expect(connectionError).not.toBeInstanceOf(NarrowResponseError)
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
    const mine = new Mine('Mine', 'conflict', '', { ...answer, details: [] })
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

  it.each(Object.entries(errorCodes))('%s is known by the class of its status', (code, { status }) => {
    const error = new NarrowError('NarrowApiError', code, '', { ...context, status, details: [] })
    const matching = Object.values(statusErrors).filter((kind) => error instanceof kind)
    expect(matching.length).toBe(1)
    expect(upstreamError instanceof TooManyRequestsError).toBe(false)
    expect(apiError instanceof TooManyRequestsError).toBe(true)
  })

  it('narrow by the class of their status', () => {
    const error: unknown = apiError
    if (error instanceof TooManyRequestsError) {
      expectTypeOf(error.status).toEqualTypeOf<429>()
      expectTypeOf(error.code).toEqualTypeOf<'rate_limited' | (string & {})>()
    }
  })

  it('are written to logs without causes and bodies', () => {
    expect(JSON.parse(JSON.stringify(upstreamError))).toEqual({
      name: 'UpstreamResponseError',
      code: 'upstream_response',
      message: 'It answered with 429',
      retryable: false,
      operation: 'actions.create',
      attempts: 2,
      idempotencyKey: 'sdk-1',
      status: 429,
      requestId: 'req_1',
      retryAfterMs: 1000,
      executionId: 'exe_1',
    })
    expect(JSON.stringify(connectionError)).not.toContain('sk_secret')
    expect(connectionError.cause).toBe(cause)
  })

  it('show their name in stacks', () => {
    expect(String(apiError)).toBe('NarrowApiError: Wait')
  })
})
