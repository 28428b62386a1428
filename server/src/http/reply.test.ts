import { contract } from '@narrowapi/contract'
import { expect, test } from 'vitest'
import type { Deps } from '../deps.ts'
import { type AnyInput, finish } from './reply.ts'

const { secrets } = contract

const deps = (checkReplies: boolean) => {
  const config = { checkReplies }
  // `finish` reads one setting of all that the server is made of.
  return { config } as Deps
}

const input = {
  params: {},
  query: {},
  body: {},
  req: { originalUrl: '/api/v1/secrets', path: '/api/v1/secrets' },
  res: { setHeader() {}, appendHeader() {} },
  // What `finish` uses of a request and its response.
} as unknown as AnyInput

const secret = {
  id: 'sec_06Wz1Xb4mJq0YcT7eKs2hU',
  object: 'secret',
  workspace_id: 'ws_06Wz1Xb4mJq0YcT7eKs2hU',
  name: 'Payments',
  type: 'bearer',
  status: 'active',
  version: 1,
  fingerprint: '0123456789abcdef',
  expires_at: null,
  last_rotated_at: '2026-01-15T10:30:00.000Z',
  used_by: [],
  metadata: { team: 'billing' },
  created_at: '2026-01-15T10:30:00.000Z',
  updated_at: '2026-01-15T10:30:00.000Z',
}

const leaking = { ...secret, sealed: 'ciphertext', hash: 'hash' }

test.each([true, false])('what the contract does not name never leaves (checked: %s)', (checkReplies) => {
  const one = finish(deps(checkReplies), secrets.get, input, { status: 200, body: leaking })
  expect(one.body).toEqual(secret)
  const page = { object: 'list', data: [leaking, leaking], has_more: false, next_cursor: null, total: 2 }
  const many = finish(deps(checkReplies), secrets.list, input, { status: 200, body: page })
  expect(many.body).toEqual({ object: 'list', data: [secret, secret], has_more: false, next_cursor: null })
})

test('a reply that does not fit the contract is our failure where replies are checked', () => {
  const reply = { status: 200, body: { ...secret, version: 'one' } }
  expect(() => finish(deps(true), secrets.get, input, reply)).toThrow('does not fit the contract')
})

test('a status that the contract does not have is our failure everywhere', () => {
  const reply = { status: 418, body: secret }
  for (const checkReplies of [true, false]) {
    expect(() => finish(deps(checkReplies), secrets.get, input, reply)).toThrow('has no reply 418')
  }
})
