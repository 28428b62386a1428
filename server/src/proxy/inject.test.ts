import { describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { type Auth, checkAuth, inject, stringsToScrub } from './inject.ts'
import { type BuiltRequest, compileTemplate } from './template.ts'

const request = (changes: Partial<BuiltRequest> = {}): BuiltRequest => ({
  origin: 'https://h.example',
  method: 'GET',
  path: '/a?b=1',
  headers: ['accept', '*/*'],
  body: null,
  ...changes,
})

const codeOf = (action: () => unknown): string | null => {
  try {
    action()
  } catch (error) {
    if (error instanceof ApiError) return error.code
    throw error
  }
  return null
}

describe('injecting a secret', () => {
  test.each<[Auth, string, Partial<BuiltRequest>]>([
    [{ type: 'none' }, 'unused', {}],
    [{ type: 'bearer' }, 's3cret', { headers: ['accept', '*/*', 'authorization', 'Bearer s3cret'] }],
    [
      { type: 'basic', name: null },
      'user:pass:word',
      { headers: ['accept', '*/*', 'authorization', 'Basic dXNlcjpwYXNzOndvcmQ='] },
    ],
    [
      { type: 'basic', name: 'üser' },
      'pässword',
      {
        headers: [
          'accept',
          '*/*',
          'authorization',
          `Basic ${Buffer.from('üser:pässword').toString('base64')}`,
        ],
      },
    ],
    [{ type: 'header', name: 'X-Key' }, 'é"', { headers: ['accept', '*/*', 'x-key', 'é"'] }],
    [{ type: 'query', name: 'api key' }, "a&b=c#日'", { path: '/a?b=1&api%20key=a%26b%3Dc%23%E6%97%A5%27' }],
  ])('by %j', (auth, secret, changes) => {
    expect(inject(request(), auth, secret)).toEqual(request(changes))
  })

  test('leaves the request it was given as it was', () => {
    const given = request()
    inject(given, { type: 'bearer' }, 's')
    inject(given, { type: 'query', name: 'k' }, 's')
    expect(given).toEqual(request())
  })

  test('wins over the same header in any case and with underscores', () => {
    const headers = ['X-API-Key', 'mine', 'x_api_key', 'mine', 'accept', '*/*']
    expect(inject(request({ headers }), { type: 'header', name: 'x-api-key' }, 's').headers).toEqual([
      'accept',
      '*/*',
      'x-api-key',
      's',
    ])
  })

  test('wins over the same query parameter however its name was written', () => {
    const path = '/a?key=mine&%6bey=mine&x=1&key'
    expect(inject(request({ path }), { type: 'query', name: 'key' }, 's').path).toBe('/a?x=1&key=s')
    expect(inject(request({ path: '/a' }), { type: 'query', name: 'key' }, 's').path).toBe('/a?key=s')
    expect(inject(request({ path: '/a?u=b?c' }), { type: 'query', name: 'key' }, 's').path).toBe(
      '/a?u=b?c&key=s',
    )
  })

  test.each(['a\r\nx: y', 'a\n', 'a\0', '日本', '\ud800', ''])('refuses to send %j in a header', (secret) => {
    for (const auth of [{ type: 'bearer' }, { type: 'header', name: 'x-key' }] as const) {
      expect(codeOf(() => inject(request(), auth, secret))).toBe('upstream_auth_failed')
    }
  })

  test.each(['a\nb', '\0', '\ud800', ''])('refuses to send %j in a query', (secret) => {
    expect(codeOf(() => inject(request(), { type: 'query', name: 'k' }, secret))).toBe('upstream_auth_failed')
  })

  test.each(['no-colon', 'user:pass\n', 'us\0er:pass'])('refuses %j as a basic credential', (secret) => {
    expect(codeOf(() => inject(request(), { type: 'basic', name: null }, secret))).toBe(
      'upstream_auth_failed',
    )
  })

  test('says nothing about the text of a secret that it refuses', () => {
    try {
      inject(request(), { type: 'bearer' }, 'canary\n4711')
      expect.unreachable()
    } catch (error) {
      expect(String(error)).not.toMatch(/canary|4711/)
    }
  })
})

describe('the place of a secret', () => {
  const compiled = compileTemplate({
    method: 'GET',
    target_url: 'https://h.example/?fixed=1',
    query: { q: '{{a}}' },
    headers: { 'X-Tenant-Id': 't' },
    body_template: null,
    input_schema: {
      properties: { a: {}, other: {}, 'x-mine': { 'x-in': 'header' } },
    },
  })

  test.each<Auth>([
    { type: 'none' },
    { type: 'bearer' },
    { type: 'basic', name: 'user' },
    { type: 'header', name: 'X-Key' },
    { type: 'header', name: 'Authorization' },
    { type: 'query', name: 'key' },
  ])('is accepted: %j', (auth) => {
    expect(codeOf(() => checkAuth(auth, compiled))).toBeNull()
  })

  test.each<Auth>([
    { type: 'basic', name: 'us:er' },
    { type: 'basic', name: 'us\ner' },
    { type: 'header', name: 'x-tenant-id' },
    { type: 'header', name: 'X-MINE' },
    { type: 'header', name: 'x_key' },
    { type: 'header', name: 'Host' },
    { type: 'header', name: 'Content-Type' },
    { type: 'header', name: 'x\r\ny' },
    { type: 'query', name: 'fixed' },
    { type: 'query', name: 'q' },
    { type: 'query', name: 'other' },
    { type: 'query', name: '' },
  ])('is refused: %j', (auth) => {
    expect(codeOf(() => checkAuth(auth, compiled))).toBe('validation_failed')
  })
})

test('lists every string that must not come back', () => {
  expect(stringsToScrub({ type: 'bearer' }, 's')).toEqual(['s'])
  expect(stringsToScrub({ type: 'basic', name: null }, 'u:p:w')).toEqual(['u:p:w', 'dTpwOnc=', 'p:w'])
  expect(stringsToScrub({ type: 'basic', name: 'u' }, 'p')).toEqual(['p', 'u:p', 'dTpw'])
})
