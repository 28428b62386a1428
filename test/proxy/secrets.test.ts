import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { echo, json, type Upstream } from '../support/upstream.ts'
import { call, callable } from './calls.ts'

const { server, upstream } = await serverAndUpstream({ environment: { LOG_LEVEL: 'trace' } })
let actor: Actor

beforeEach(async () => {
  upstream.received = []
  upstream.answer = echo
  actor = await server.newWorkspace()
})

/** Every row of every table, as text. */
const dump = async (): Promise<string> => {
  const { sql } = server.database
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables
    where table_schema = 'narrowapi' and table_type = 'BASE TABLE'`
  const rows = await Promise.all(
    tables.map(
      ({ name }) => sql<{ text: string }[]>`select row_to_json(t)::text as text from ${sql(name)} t`,
    ),
  )
  return rows
    .flat()
    .map(({ text }) => text)
    .join('\n')
}

/** What an operator can read of their workspace. */
const readable = async ({ narrow }: Actor): Promise<string> =>
  JSON.stringify(
    await Promise.all([
      narrow.executions.list({ limit: 100 }),
      narrow.audit.list({ limit: 100 }),
      narrow.actions.list({ limit: 100 }),
      narrow.tokens.list({ limit: 100 }),
      narrow.secrets.list({ limit: 100 }),
    ]),
  )

const base64Cores = (bytes: Buffer): string[] =>
  [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
  })

/** The ways in which a text may be written without being hidden. */
const spellings = (text: string): string[] => {
  const bytes = Buffer.from(text)
  const cores = base64Cores(bytes)
  return [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    new URLSearchParams({ k: text }).toString().slice(2),
    ...cores,
    ...cores.map((core) => core.replaceAll('+', '-').replaceAll('/', '_')),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    [...text].reverse().join(''),
  ]
}

const unique = () => randomBytes(9).toString('base64url').replaceAll(/[-_]/g, 'x')

type Canary = { value: string; auth_type: 'bearer' | 'basic' | 'header' | 'query'; auth_name?: string }
const canaries: Record<string, Canary> = {
  plain: { value: unique(), auth_type: 'bearer' },
  'long, in a header': { value: `sk_live_${unique()}${unique()}`, auth_type: 'header', auth_name: 'X-Key' },
  'hostile to patterns': { value: `.*+?^$\{}()|[]\\/${unique()}(a+)+$`, auth_type: 'bearer' },
  'hostile to replacement': { value: `$1$&$\`$'${unique()}$$`, auth_type: 'bearer' },
  'four thousand characters': { value: randomBytes(3000).toString('base64'), auth_type: 'bearer' },
  JSON: {
    value: JSON.stringify({ user: 'u', key: unique(), list: [1] }),
    auth_type: 'header',
    auth_name: 'K',
  },
  base64: { value: Buffer.from(unique()).toString('base64'), auth_type: 'bearer' },
  'base64 with padding': {
    value: `${Buffer.from(`${unique()}z`).toString('base64')}`,
    auth_type: 'query',
    auth_name: 'k',
  },
  hexadecimal: { value: randomBytes(16).toString('hex'), auth_type: 'query', auth_name: 'key' },
  'a user and password': { value: `user:${unique()}`, auth_type: 'basic' },
  'a password with colons': { value: `a:b:${unique()}`, auth_type: 'basic', auth_name: 'user' },
  'a JWT': {
    value: `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(unique()).toString('base64url')}.${unique()}`,
    auth_type: 'bearer',
  },
  'percent signs': { value: `%41%42${unique()}%zz`, auth_type: 'query', auth_name: 'p' },
  'mark-up': { value: `<b>"${unique()}"&amp;'</b>`, auth_type: 'query', auth_name: 'm' },
  'spaces and plus': { value: `a b+c ${unique()}`, auth_type: 'query', auth_name: 's' },
  'beyond ASCII': { value: `pässwörd-☃-${unique()}`, auth_type: 'query', auth_name: 'u' },
  'a template': { value: `{{amount}}{user}${unique()}`, auth_type: 'bearer' },
  'backslashes and quotes': { value: `\\"\\\\"${unique()}\\n`, auth_type: 'header', auth_name: 'Q' },
  'a URL': { value: `https://u:${unique()}@host.example/?a=b&c=d`, auth_type: 'query', auth_name: 'url' },
  'line breaks, which nothing can carry': { value: `${unique()}\r\n${unique()}`, auth_type: 'bearer' },
}

test.each(Object.entries(canaries))(
  'a secret that is %s is nowhere, however the upstream repeats it',
  async (_, { value, ...auth }) => {
    const parts = [value, ...(value.includes(':') ? [value.slice(value.indexOf(':') + 1)] : [])]
    const isHeaderSafe = /^[\x20-\x7e]+$/.test(value)
    upstream.answer = (request, res) => {
      res.setHeader('content-type', 'application/json')
      if (isHeaderSafe) res.setHeader('x-echo', `got ${value}`)
      res.setHeader('etag', `"${Buffer.from(value).toString('base64url').slice(0, 6000)}"`)
      if (isHeaderSafe && value.length < 1000) res.statusMessage = value
      res.statusCode = upstream.received.length % 2 === 0 ? 500 : 200
      const written = spellings(value)
      res.end(
        JSON.stringify({
          request,
          written,
          [value]: 'as a key',
          text: `before ${value} after`,
          twice: JSON.stringify({ inner: JSON.stringify(value) }),
          credentials: Buffer.from(`x:${value}`).toString('base64'),
        }),
      )
    }
    const { action, token } = await callable(actor, {
      target_url: `${upstream.url}/echo`,
      auth_value: value,
      response: { headers: ['x-echo', 'etag'] },
      ...auth,
    })
    const answers: string[] = []
    for (const headers of [{}, { 'idempotency-key': 'k' }, { 'idempotency-key': 'k' }]) {
      const answer = await call(server, token, action.id, {}, { headers })
      answers.push(JSON.stringify([...answer.headers]), answer.text)
    }
    const shown = await call(server, token, `${action.id}/dry-run`, {})
    const rotated = await actor.narrow.secrets.update(action.secret_id ?? '', { value: `${value} next` })
    const places = {
      answers: answers.join('\n'),
      'the dry run': shown.text,
      'what a rotation answers': JSON.stringify(rotated),
      'what can be read': await readable(actor),
      'the log': server.logs.join(''),
      'the database': await dump(),
    }
    // The places are the right ones: they know the action.
    expect(places['what can be read']).toContain(action.id)
    expect(places['the database']).toContain(action.id)
    for (const [place, text] of Object.entries(places)) {
      for (const form of parts.flatMap(spellings)) {
        expect(text.includes(form), `${place} holds ${form.slice(0, 40)}`).toBe(false)
      }
    }
    if (value.includes('\r\n')) expect(upstream.received).toHaveLength(0)
    else expect(answers.join('')).toContain('[redacted]')
  },
)

test.each(['x', '7', 'ab1', 'p@ss'])(
  'a secret as short as %j is hidden where it stands alone',
  async (value) => {
    upstream.answer = json(200, { pin: value, said: `the pin is ${value}.`, word: `be${value}er` })
    const { action, token } = await callable(actor, {
      target_url: upstream.url,
      auth_type: 'bearer',
      auth_value: value,
    })
    const { body, executionId } = await call(server, token, action.id, {})
    expect(body).toMatchObject({ pin: '[redacted]', said: 'the pin is [redacted].' })
    const execution = await actor.narrow.executions.get(executionId ?? '')
    expect(execution.output).toEqual(body)
  },
)

test('a secret that arrives in many small pieces is hidden all the same', async () => {
  const value = unique()
  upstream.answer = (_, res) => {
    const text = `{"echo":"${value}"}`
    const next = (at: number): void => {
      if (at >= text.length) res.end()
      else res.write(text.slice(at, at + 3), () => setImmediate(next, at + 3))
    }
    next(0)
  }
  const { action, token } = await callable(actor, {
    target_url: upstream.url,
    auth_type: 'bearer',
    auth_value: value,
  })
  expect((await call(server, token, action.id, {})).body).toEqual({ echo: '[redacted]' })
})

describe('a call that fails', () => {
  test.each<[string, { url?: () => string; answer?: Upstream['answer'] }, string]>([
    ['because nobody listens', { url: () => 'http://127.0.0.1:1' }, 'upstream_error'],
    ['at TLS', { url: () => upstream.url.replace('http:', 'https:') }, 'upstream_error'],
    ['by the time', { answer: () => {} }, 'upstream_timeout'],
    ['in the middle', { answer: (_, res) => res.destroy() }, 'upstream_outcome_unknown'],
    [
      'with an answer that is no HTTP',
      { answer: ({ url }, res) => res.socket?.end(`${url}\r\n\r\n`) },
      'invalid_upstream_response',
    ],
  ])('%s says nothing of the secret in its URL', async (_, { url, answer }, code) => {
    const value = unique()
    upstream.answer = answer ?? echo
    const { action, token } = await callable(actor, {
      target_url: `${url?.() ?? upstream.url}/path`,
      auth_type: 'query',
      auth_name: 'key',
      auth_value: value,
      timeout_ms: 300,
    })
    const failed = await call(server, token, action.id, {})
    expect(failed.error).toBe(code)
    const everything = failed.text + (await readable(actor)) + server.logs.join('')
    expect(everything).not.toContain(value)
    expect(failed.text).not.toMatch(/127\.0\.0\.1:\d+\/path|ECONN|\/path/)
  })

  test.each([
    ['a header', 'header', 'X-Key', 'line\nbreak'],
    ['a bearer', 'bearer', null, 'snow☃man'],
    ['a query', 'query', 'k', 'line\r\nbreak'],
    ['basic credentials', 'basic', null, 'no-colon-in-it'],
  ] as const)(
    'because %s cannot carry the secret sends nothing',
    async (_, auth_type, auth_name, auth_value) => {
      const { action, token } = await callable(actor, {
        target_url: upstream.url,
        auth_type,
        auth_name,
        auth_value,
      })
      const failed = await call(server, token, action.id, {})
      expect([failed.status, failed.error]).toEqual([502, 'upstream_auth_failed'])
      expect(failed.text).not.toContain(auth_value.slice(0, 5))
      expect(upstream.received).toHaveLength(0)
      expect((await actor.narrow.executions.list()).data[0]).toMatchObject({
        status: 'failed',
        upstream: null,
        error: { code: 'upstream_auth_failed' },
      })
    },
  )
})

describe('a stored secret', () => {
  const withSecret = async (owner: Actor = actor, value = unique()) => {
    const made = await callable(owner, { target_url: upstream.url, auth_type: 'bearer', auth_value: value })
    const id = made.action.secret_id ?? ''
    const [row] = await server.database.sql<{ sealed: Buffer; key_id: string }[]>`
      select sealed, key_id from secrets where id = ${id}`
    if (!row) throw new Error('The secret was not stored')
    return { ...made, ...row, id, value }
  }
  const put = async (id: string, sealed: Buffer, version = 1) => {
    await server.database.sql`update secrets set sealed = ${sealed}, version = ${version} where id = ${id}`
    server.deps.catalogue.expire()
  }

  test('does not open when any of its bytes is changed, and says so to the log', async () => {
    const { action, token, id, sealed, value } = await withSecret()
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 0x01
      await put(id, changed)
      const { status, error } = await call(server, token, action.id, {})
      expect([at, status, error]).toEqual([at, 502, 'upstream_auth_failed'])
    }
    for (const cut of [0, 1, sealed.length - 1]) {
      await put(id, sealed.subarray(0, cut))
      expect((await call(server, token, action.id, {})).error).toBe('upstream_auth_failed')
    }
    expect(upstream.received).toHaveLength(0)
    expect(server.logs.filter((line) => line.includes('a secret did not open')).length).toBeGreaterThan(
      sealed.length,
    )
    await put(id, sealed)
    expect((await call(server, token, action.id, {})).status).toBe(200)
    expect(upstream.received[0]?.headers.authorization).toBe(`Bearer ${value}`)
  })

  test('does not open in the place of another, in another workspace or as another version', async () => {
    const [one, two] = [await withSecret(), await withSecret()]
    const foreign = await withSecret(await server.newWorkspace())
    await put(two.id, one.sealed)
    await put(foreign.id, one.sealed)
    await put(one.id, one.sealed, 2)
    for (const moved of [one, two, foreign]) {
      const { error } = await call(server, moved.token, moved.action.id, {})
      expect(error).toBe('upstream_auth_failed')
    }
    expect(upstream.received).toHaveLength(0)
  })

  test('is sealed anew each time, and recognised by its fingerprint alone', async () => {
    const [one, two, other] = [
      await withSecret(actor, 'same-value'),
      await withSecret(actor, 'same-value'),
      await withSecret(),
    ]
    expect(one.sealed.equals(two.sealed)).toBe(false)
    const prints = await Promise.all([one, two, other].map(({ id }) => actor.narrow.secrets.get(id)))
    expect(prints[0]?.fingerprint).toBe(prints[1]?.fingerprint)
    expect(prints[0]?.fingerprint).not.toBe(prints[2]?.fingerprint)
  })

  test('that is missing or has expired fails the call before anything is sent', async () => {
    const { action, token, id } = await withSecret()
    await actor.narrow.secrets.update(id, { expires_at: '2099-01-01T00:00:00Z' })
    expect((await call(server, token, action.id, {})).status).toBe(200)
    await server.database.sql`update secrets set expires_at = now() - interval '1 second' where id = ${id}`
    server.deps.catalogue.expire()
    const expired = await call(server, token, action.id, {})
    expect([expired.status, expired.error]).toEqual([502, 'upstream_auth_failed'])
    expect(expired.text).not.toContain(id)
    await actor.narrow.secrets.update(id, { expires_at: null })
    expect((await call(server, token, action.id, {})).status).toBe(200)
    await server.database.sql`
      update actions set version = 2, definition = replace(definition::text, ${id}, 'sec_0000000000000000000000')::json
      where id = ${action.id}`
    server.deps.catalogue.expire()
    expect((await call(server, token, action.id, {})).error).toBe('upstream_auth_failed')
    expect(upstream.received).toHaveLength(2)
  })

  test('that gets a new value is sent with it by the next call, and each value is hidden', async () => {
    const { action, token, id, value } = await withSecret()
    await call(server, token, action.id, {})
    const next = unique()
    const updated = await actor.narrow.secrets.update(id, { value: next })
    expect(updated.version).toBe(2)
    const answer = await call(server, token, action.id, {})
    expect(upstream.received.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${value}`,
      `Bearer ${next}`,
    ])
    expect(answer.text).not.toContain(next)
  })

  test('cannot be read by any answer, and cannot be deleted while it is used', async () => {
    const { id, value } = await withSecret()
    await expect(actor.narrow.secrets.delete(id)).rejects.toMatchObject({ code: 'in_use' })
    expect(await readable(actor)).not.toContain(value)
    const shown = Object.keys(await actor.narrow.secrets.get(id))
    expect(shown).toContain('fingerprint')
    expect(shown).not.toContain('value')
    expect(shown).not.toContain('sealed')
  })
})

describe('a credential that is shown once', () => {
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${server.url}/api/v1${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${actor.key}`,
        'content-type': 'application/json',
        'idempotency-key': 'shown-once',
      },
      body: JSON.stringify(body),
    })
    // Both routes answer objects whose credential is a string.
    return { headers: response.headers, body: (await response.json()) as Record<string, string> }
  }

  test('comes again for the same key, is cached nowhere and stored nowhere in clear', async () => {
    const action = await actor.narrow.actions.create({ name: 'a', target_url: upstream.url })
    const requests = [
      ['/tokens', { name: 't', action_ids: [action.id] }, 'token'],
      ['/api-keys', { name: 'k' }, 'key'],
    ] as const
    for (const [path, body, field] of requests) {
      const first = await post(path, body)
      const again = await post(path, body)
      const credential = first.body[field] ?? ''
      expect(credential).toMatch(/^(sxt|sk)_/)
      expect(again.body[field]).toBe(credential)
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(first.headers.get('cache-control')).toBe('no-store')
      expect(again.headers.get('cache-control')).toBe('no-store')
      for (const text of [await readable(actor), await dump(), server.logs.join('')]) {
        expect(text).not.toContain(credential)
        expect(text).not.toContain(Buffer.from(credential).toString('hex'))
      }
    }
  })
})
