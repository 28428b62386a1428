import { gzipSync } from 'node:zlib'
import { ErrorBody } from '@narrowapi/contract'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { examples } from '../support/examples.ts'
import { exchange, type RawAnswer, request } from '../support/raw.ts'
import { type Answer, ask } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const { server, upstream } = await serverAndUpstream()
let actionId: string
let token: string

beforeAll(async () => {
  const action = await server.owner.narrow.actions.create({
    name: 'Take anything',
    target_url: `${upstream.url}/anything`,
    input_schema: { type: 'object' },
    rate_limit_rpm: 100_000,
  })
  actionId = action.id
  token = (await server.owner.narrow.tokens.create(examples.token(actionId))).token
})

type Target = { line: string; credential: string; body: Record<string, unknown> }

/** Endpoints of every kind that take a body: defaults, nested rules, secrets, free input. */
const targets = (): Target[] => [
  { line: 'POST /api/v1/actions', credential: server.owner.key, body: examples.action(upstream.url) },
  { line: 'POST /api/v1/tokens', credential: server.owner.key, body: examples.token(actionId) },
  { line: 'POST /api/v1/secrets', credential: server.owner.key, body: examples.secret() },
  { line: `POST /x/${actionId}`, credential: token, body: { text: 'a' } },
]

type Counts = { actions: number; tokens: number; secrets: number; calls: number }

/** What exists behind the API. A refused call is recorded, but it is never sent. */
const counts = async (): Promise<Counts> => {
  const [row] = await server.database.sql<Omit<Counts, 'calls'>[]>`
    select
      (select count(*)::int from narrowapi.actions) as actions,
      (select count(*)::int from narrowapi.tokens) as tokens,
      (select count(*)::int from narrowapi.secrets) as secrets`
  return { actions: 0, tokens: 0, secrets: 0, ...row, calls: upstream.received.length }
}

const json = { 'Content-Type': 'application/json' }

/** Sends exact bytes to an endpoint and gives its one answer. */
const send = async (
  { line, credential }: Target,
  body: string | Buffer,
  headers: Record<string, string> = json,
): Promise<RawAnswer> => {
  const bytes = request(line, { Authorization: `Bearer ${credential}`, ...headers }, body)
  const { answers } = await exchange(server.url, bytes, { answers: 1, quietMs: 5000 })
  const [answer] = answers
  if (!answer) throw new Error(`No answer to ${line}`)
  return answer
}

/** What no caller may be told: SQL, constraints, stacks, files, addresses of peers. */
const innards =
  /select |insert into|update .* set|violates|constraint "|relation "|at .*\(.*:\d+|\.ts:\d|node_modules|\/work\/|PGSQL|ECONN|127\.0\.0\.1:\d{4,5}(?!\/docs)|Unexpected token|JSON at position/i

const expectRefusal = (answer: Pick<RawAnswer, 'status' | 'body'>, allowed: readonly number[]): void => {
  expect(allowed).toContain(answer.status)
  const { doc_url, ...error } = ErrorBody.parse(JSON.parse(answer.body))
  expect(error.request_id).not.toBe('')
  expect(JSON.stringify(error)).not.toMatch(innards)
}

const nested = (depth: number, inner = '1'): string => '['.repeat(depth) + inner + ']'.repeat(depth)

const invalidUtf8: [string, number[]][] = [
  ['a byte that is never UTF-8', [0xff]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['an encoded surrogate', [0xed, 0xa0, 0x80]],
  ['a cut sequence', [0xe2, 0x82]],
  ['a code point beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ['a lone continuation', [0x80]],
]

const syntaxErrors = [
  '{',
  '}',
  '[',
  ']',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{,}',
  '[1,]',
  '[1 2]',
  '{"a" 1}',
  '{a:1}',
  "{'a':1}",
  '{"a":1}{"b":2}',
  '{"a":1} x',
  'nul',
  'True',
  'NaN',
  'Infinity',
  '-',
  '01',
  '1.',
  '.5',
  '1e',
  '+1',
  '0x10',
  '"a',
  '"\\x"',
  '"\\u12"',
  '"tab\there"',
  '{"a":1',
  '// {}',
  '/* */{}',
  '{"a":undefined}',
  '\uFEFF{}',
]

describe('bodies that are refused', () => {
  test('errors of JSON syntax, without quoting the body', async () => {
    const before = await counts()
    for (const target of targets()) {
      for (const body of syntaxErrors) {
        const marked = body.replace('"a"', '"canary"')
        const answer = await send(target, marked)
        expect([target.line, body, answer.status]).toEqual([target.line, body, 400])
        expectRefusal(answer, [400])
        expect(answer.body).not.toContain(marked.length > 3 ? marked : '\uFFFF')
      }
    }
    expect(await counts()).toEqual(before)
  })

  test.each([
    ['of an unknown kind', { path: '/amount', op: 'about', value: 1 }],
    ['without its kind', { path: '/amount', value: 1 }],
  ])('a constraint %s, with the kinds there are', async (_, constraint) => {
    const body = { ...examples.action('https://api.example.com'), constraints: [constraint] }
    const refusal = server.owner.narrow.actions.create(body as never)
    await expect(refusal).rejects.toMatchObject({
      code: 'validation_failed',
      details: [{ field: 'constraints.0.op', message: expect.stringMatching(/^must be one of eq, in, /) }],
    })
  })

  test.each<[string, () => string | Buffer, number[]]>([
    ['100 000 opened lists', () => '['.repeat(100_000), [400]],
    ['50 000 lists in each other', () => nested(50_000), [400]],
    ['5000 lists inside a valid member', () => `{"metadata":{"a":${nested(5000)}}}`, [400]],
    ['65 lists inside a member', () => `{"metadata":${nested(65)}}`, [400]],
    ['a string of 2 MB', () => JSON.stringify({ name: 'a'.repeat(2_000_000) }), [413]],
    ['a name of 1 MB', () => `{"${'a'.repeat(1_000_000)}":1}`, [422, 413, 403]],
    [
      '100 000 names',
      () => `{${Array.from({ length: 70_000 }, (_, index) => `"k${index}":1`).join()}}`,
      [400],
    ],
    ['a number of 100 000 digits', () => `{"name":${'9'.repeat(100_000)}}`, [400]],
    ['a good body behind 2 MB of spaces', () => `${' '.repeat(2_000_000)}{"name":"a"}`, [413]],
    ['a name given twice', () => '{"name":"a","name":"b"}', [400]],
    ['a name given twice in different escapes', () => '{"name":"a","n\\u0061me":"b"}', [400]],
    ['a repeated name deep inside', () => '{"metadata":{"a":"1","a":"2"}}', [400]],
    ['__proto__', () => '{"__proto__":{"is_admin":true}}', [400]],
    ['__proto__ in escapes', () => '{"\\u005f_proto__":{"is_admin":true}}', [400]],
    ['__proto__ deep inside', () => '{"metadata":{"__proto__":{"polluted":"yes"}}}', [400]],
    ['NUL in a value', () => '{"name":"a\\u0000b"}', [400]],
    ['NUL in a name', () => '{"a\\u0000b":"c"}', [400]],
    ['a bare NUL', () => '{"name":"a\0b"}', [400]],
    ['a lone high surrogate', () => '{"name":"\\ud800"}', [400]],
    ['a lone low surrogate', () => '{"name":"\\udc00"}', [400]],
    ['swapped surrogates', () => '{"name":"\\udc00\\ud800"}', [400]],
    ['a lone surrogate in a name', () => '{"\\ud800":"a"}', [400]],
    ['1e400', () => '{"metadata":{"a":1e400}}', [400]],
    ['an integer that a double cannot hold', () => '{"metadata":{"a":9007199254740993}}', [400]],
    ['a twenty digit integer', () => '{"max_uses":99999999999999999999}', [400]],
    ['a null body', () => 'null', [422]],
    ['a list body', () => '[]', [422]],
    ['a string body', () => '"name"', [422]],
    ['a number body', () => '1', [422]],
    ...invalidUtf8.map(([name, bytes]): [string, () => Buffer, number[]] => [
      name,
      () => Buffer.concat([Buffer.from('{"name":"'), Buffer.from(bytes), Buffer.from('"}')]),
      [400],
    ]),
  ])('%s', async (_, body, allowed) => {
    const before = await counts()
    for (const target of targets()) {
      const free = target.line.startsWith('POST /x/') && allowed.includes(422) && allowed.includes(413)
      // The input of an action is free, so a long name in it is only a long name.
      const answer = await send(target, body())
      if (free) expect(answer.status).toBeLessThan(500)
      else expectRefusal(answer, allowed)
    }
    const after = await counts()
    expect({ ...after, calls: 0 }).toEqual({ ...before, calls: 0 })
    expect((await ask(server.url, 'GET /healthz')).status).toBe(200)
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
    expect(Reflect.get({}, 'is_admin')).toBeUndefined()
  })

  test.each<[string, Record<string, string>, () => string | Buffer]>([
    ['gzip', { 'Content-Encoding': 'gzip' }, () => gzipSync('{"name":"a"}')],
    ['gzip of 50 MB of zeros', { 'Content-Encoding': 'gzip' }, () => gzipSync(Buffer.alloc(50_000_000))],
    ['gzip twice', { 'Content-Encoding': 'gzip, gzip' }, () => gzipSync(gzipSync('{"name":"a"}'))],
    ['cut gzip', { 'Content-Encoding': 'gzip' }, () => gzipSync('{"name":"a"}').subarray(0, 12)],
    ['brotli', { 'Content-Encoding': 'br' }, () => '{}'],
    ['an unknown coding', { 'Content-Encoding': 'rot13' }, () => '{}'],
  ])('a content encoding: %s', async (_, headers, body) => {
    for (const target of targets())
      expectRefusal(await send(target, body(), { ...json, ...headers }), [413, 415])
  })

  test.each([
    [''],
    ['text/plain'],
    ['text/json'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=a'],
    ['application/javascript'],
    ['application/jsonp'],
    ['application/xml'],
    ['application/json; charset=utf-16'],
    ['application/json; charset=bogus'],
    ['application/json, text/plain'],
    ['application/json; charset=utf-8; charset=utf-16'],
    ['application/problem+json'],
    ['application/json-patch+json'],
    ['application/jsonx'],
    ['*/*'],
  ])('media type "%s"', async (type) => {
    const before = await counts()
    for (const target of targets()) {
      const headers: Record<string, string> = type === '' ? {} : { 'Content-Type': type }
      expectRefusal(await send(target, JSON.stringify(target.body), headers), [415])
    }
    expect(await counts()).toEqual(before)
  })

  test('two media types', async () => {
    for (const { line, credential, body } of targets()) {
      const text = JSON.stringify(body)
      const bytes =
        `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${credential}\r\nContent-Type: application/json\r\n` +
        `Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
      const { answers } = await exchange(server.url, bytes, { answers: 1 })
      expectRefusal(answers[0] ?? { status: 0, body: '{}' }, [400, 415])
    }
  })
})

test.each([
  'application/json',
  'APPLICATION/JSON',
  'application/json;charset=UTF-8',
  'application/json; charset="utf-8"',
])('takes media type %s', async (type) => {
  for (const target of targets()) {
    const answer = await send(target, JSON.stringify(target.body), { 'Content-Type': type })
    expect([200, 201]).toContain(answer.status)
  }
})

const oddNames = [
  'constructor',
  'prototype',
  'hasOwnProperty',
  'toString',
  'toJSON',
  'then',
  'valueOf',
  '__defineGetter__',
]

describe('names that mean something to JavaScript', () => {
  test('are plain data as metadata, also when they are looked for', async () => {
    const { narrow } = server.owner
    for (const name of oddNames) {
      const made = await narrow.secrets.create({ ...examples.secret(), metadata: { [name]: 'x' } })
      expect((await narrow.secrets.get(made.id)).metadata).toEqual({ [name]: 'x' })
      const found = await ask(server.url, `GET /api/v1/secrets?metadata[${name}]=x`, {
        credential: server.owner.key,
      })
      expect(found.status).toBe(200)
      expect((found.body as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual([made.id])
    }
  })

  test('are plain data as inputs, headers and query parameters of an action, and unknown elsewhere', async () => {
    for (const name of oddNames) {
      const action = await server.owner.narrow.actions.create({
        name,
        target_url: `${upstream.url}/echo`,
        input_schema: [{ name, type: 'string', required: true }],
        query: { [name]: `{{${name}}}` },
        body_template: { [name]: `{{${name}}}` },
        tags: [name],
      })
      const issued = await server.owner.narrow.tokens.create(examples.token(action.id))
      const empty = await ask(server.url, `POST /x/${action.id}`, { credential: issued.token, body: {} })
      expect([name, empty.status]).toEqual([name, 422])
      const answer = await ask(server.url, `POST /x/${action.id}`, {
        credential: issued.token,
        body: { [name]: 'v' },
      })
      expect([name, answer.status]).toEqual([name, 200])
      const received = upstream.received.at(-1)
      expect(JSON.parse(received?.body ?? '')).toEqual({ [name]: 'v' })
      expect(received?.url).toBe(`/echo?${name}=v`)
      const unknown = await ask(server.url, 'POST /api/v1/secrets', {
        credential: server.owner.key,
        body: `{"name":"a","value":"0123456789","${name}":"x"}`,
      })
      expect([name, unknown.status]).toEqual([name, 422])
      expect(ErrorBody.parse(unknown.body).details?.[0]?.field).toBe(name)
    }
  })

  test('are refused where they would break the comparison of a length', async () => {
    for (const name of ['toString', 'valueOf'])
      for (const length of [{ [name]: [] }, [[{ toString: 'x' }]], { toString: null, valueOf: null }]) {
        const body = { ...examples.secret(), name: { length } }
        const answer = await ask(server.url, 'POST /api/v1/secrets', { credential: server.owner.key, body })
        expect(answer.status).toBe(422)
      }
    const plain = { ...examples.secret(), metadata: { length: '3' } }
    const made = await ask(server.url, 'POST /api/v1/secrets', { credential: server.owner.key, body: plain })
    expect(made.status).toBe(201)
  })

  test.each([
    '__proto__[x]=1',
    '__proto__.x=1',
    'constructor[prototype][x]=1',
    `${'[a]'.repeat(1000)}=1`,
    `metadata${'[a]'.repeat(1000)}=1`,
    'metadata[__proto__]=1',
    'metadata[__proto__][x]=1',
    'limit[]=1',
    'limit[$gt]=1',
  ])('do nothing in a query: %s', async (query) => {
    const answer = await ask(server.url, `GET /api/v1/secrets?${query}`, { credential: server.owner.key })
    expect(answer.status).toBeLessThan(500)
    if (answer.status === 200) expect(answer.body).toMatchObject({ data: [] })
    else expectRefusal({ status: answer.status, body: answer.text }, [400, 422])
    expect(Reflect.get({}, 'x')).toBeUndefined()
  })
})

describe('text', () => {
  test('comes back byte for byte, or is refused: 300 random strings in every kind of field', async () => {
    const special = fc.constantFrom(
      '\u00e9',
      'e\u0301',
      '\u{1f469}\u200d\u{1f4bb}',
      '\u202eRTL',
      '\ufeff',
      '\u200b',
      '\ufffd',
      '\u{10ffff}',
      '\u0001',
      '\u007f',
      "'; drop table secrets; --",
      '\\u0000',
      '%s%n',
      '$(id)',
      '{{name}}',
      '<b>',
      '\r\n',
    )
    const text = fc
      .array(
        fc.oneof(
          special,
          fc.string({ unit: 'binary', maxLength: 8 }),
          fc.string({ unit: 'grapheme', maxLength: 8 }),
        ),
        { minLength: 1, maxLength: 5 },
      )
      .map((parts) => parts.join(''))
      .filter((value) => value !== '')
    const { key } = server.owner
    let stored = 0
    for (const value of fc.sample(text, { seed: 90, numRuns: 300 })) {
      const metadataKey = [...value].slice(0, 40).join('')
      const body = { name: value, value: `v${value}`, metadata: { [metadataKey]: value } }
      const made = await ask(server.url, 'POST /api/v1/secrets', { credential: key, body })
      if (made.status !== 201) {
        expectRefusal({ status: made.status, body: made.text }, [400, 422])
        expect([value, made.text]).toEqual([expect.stringContaining('\0'), expect.anything()])
        continue
      }
      stored += 1
      const { id } = made.body as { id: string }
      const read = await ask(server.url, `GET /api/v1/secrets/${id}`, { credential: key })
      for (const answer of [made, read])
        expect(answer.body).toMatchObject({ name: value, metadata: { [metadataKey]: value } })
    }
    expect(stored).toBeGreaterThan(200)
  })

  test('reaches the upstream and the record byte for byte', async () => {
    const values = fc.sample(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), {
      seed: 91,
      numRuns: 60,
    })
    for (const value of values.filter((one) => !one.includes('\0'))) {
      const answer = await ask(server.url, `POST /x/${actionId}`, {
        credential: token,
        body: { text: value },
      })
      expect(answer.status).toBe(200)
      expect(JSON.parse(upstream.received.at(-1)?.body ?? '')).toEqual({ text: value })
      const id = answer.headers.get('x-execution-id') ?? ''
      const execution = await server.owner.narrow.executions.get(id)
      expect(execution.input).toEqual({ text: value })
    }
  })

  test.each([
    ['a', 1],
    ['é', 1],
    ['\u{1f600}', 1],
    ['e\u0301', 2],
  ])('has its length counted in code points: %s', async (unit, codePoints) => {
    const { key } = server.owner
    const asked = (name: string): Promise<Answer> =>
      ask(server.url, 'POST /api/v1/secrets', { credential: key, body: { ...examples.secret(), name } })
    const longest = unit.repeat(Math.floor(255 / codePoints))
    expect((await asked(longest)).status).toBe(201)
    const tooLong = await asked(longest + unit)
    expect([tooLong.status, ErrorBody.parse(tooLong.body).details?.[0]?.field]).toEqual([422, 'name'])
  })
})

test('takes numbers exactly, or refuses them', async () => {
  const sent = async (number: string): Promise<Answer> =>
    ask(server.url, `POST /x/${actionId}`, { credential: token, body: `{"n":${number}}` })
  for (const [number, expected] of [
    ['9007199254740991', '9007199254740991'],
    ['-9007199254740991', '-9007199254740991'],
    ['0.1', '0.1'],
    ['1e3', '1000'],
    ['-0', '0'],
    ['5e-324', '5e-324'],
  ]) {
    expect((await sent(number ?? '')).status).toBe(200)
    expect(upstream.received.at(-1)?.body).toBe(`{"n":${expected}}`)
  }
  for (const number of ['1e400', '-1e400', '9007199254740993', '99999999999999999999', '1e-400'])
    expectRefusal({ ...(await sent(number)), body: (await sent(number)).text }, [400])
  for (const max_uses of [0, -1, 1.5, 2_147_483_648, 1e15, '1', true, null]) {
    const body = { ...examples.token(actionId), max_uses }
    const { status } = await ask(server.url, 'POST /api/v1/tokens', { credential: server.owner.key, body })
    expect([max_uses, status]).toEqual([max_uses, max_uses === null ? 201 : 422])
  }
})

const oddIds = [
  '%00',
  'a%00b',
  '%ff',
  '%c0%af',
  '%ed%a0%80',
  '%',
  '%2',
  '%zz',
  '..',
  '%2e%2e',
  '%2e%2e%2f%2e%2e',
  '.',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'NaN',
  '0',
  '-1',
  '1e9',
  'true',
  "'",
  "';--",
  '1%20or%201=1',
  '%22',
  '*',
  '%25',
  '{id}',
  ':id',
  '%5B%5D',
  '%F0%9F%98%80',
  '%0d%0aX: y',
  'a'.repeat(5000),
]

describe('ids', () => {
  test('odd texts name nothing and reach no query', async () => {
    for (const id of oddIds) {
      for (const path of ['/api/v1/actions/', '/api/v1/tokens/', '/api/v1/executions/', '/api/v1/audit/']) {
        const bytes = request(`GET ${path}${id.replaceAll(' ', '%20')}`, {
          Authorization: `Bearer ${server.owner.key}`,
        })
        const { answers } = await exchange(server.url, bytes, { answers: 1 })
        const [answer] = answers
        if (answer?.status === 200) expect([id, path]).toEqual([expect.stringMatching(/^(%2e|\.)/), path])
        else expectRefusal(answer ?? { status: 0, body: '{}' }, [400, 404])
      }
      const call = request(
        `POST /x/${id.replaceAll(' ', '%20')}`,
        { Authorization: `Bearer ${token}`, ...json },
        '{}',
      )
      const { answers } = await exchange(server.url, call, { answers: 1 })
      expectRefusal(answers[0] ?? { status: 0, body: '{}' }, [400, 404, 405])
    }
  })

  test('a valid id in another case, or with anything around it, is another id', async () => {
    const variants = [
      actionId.toUpperCase(),
      actionId.toLowerCase(),
      ` ${actionId}`,
      `${actionId} `,
      `${actionId}\n`,
      `${actionId}\0`,
      `${actionId}/`,
      `${actionId}%`,
      actionId.slice(0, -1),
    ]
    for (const variant of variants) {
      const path = variant.replaceAll(/[ \n\0%]/g, encodeURIComponent)
      const read = await ask(server.url, `GET /api/v1/actions/${path}`, { credential: server.owner.key })
      expect([variant, [400, 404].includes(read.status)]).toEqual([variant, true])
      const call = await ask(server.url, `POST /x/${path}`, { credential: token, body: {} })
      expect([variant, [400, 404].includes(call.status)]).toEqual([variant, true])
    }
  })
})
