import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { compileTemplate, type RequestTemplate } from './template.ts'

const schema = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: 'object',
  properties,
  ...more,
})

const template = (changes: Partial<RequestTemplate>): RequestTemplate => ({
  method: 'GET',
  target_url: 'https://api.example.com/v1/things',
  query: null,
  headers: null,
  body_template: null,
  input_schema: schema({}),
  ...changes,
})

const build = (changes: Partial<RequestTemplate>, input: Record<string, unknown>) =>
  compileTemplate(template(changes)).build(input)

const problemsOf = (action: () => unknown): readonly string[] => {
  try {
    action()
  } catch (error) {
    if (error instanceof ApiError && error.code === 'validation_failed') {
      return (error.details ?? []).map(({ field }) => field)
    }
    throw error
  }
  return []
}

const text = { type: 'string' }
const integer = { type: 'integer' }

describe('a request built from a template', () => {
  test('puts path, query, headers and typed body leaves where the template says', () => {
    const request = build(
      {
        method: 'POST',
        target_url: 'https://API.example.com:443/v1/charges/{charge_id}/refund?notify={notify}',
        query: { locale: 'de', tag: '{{tags}}', note: 'n-{{amount}}' },
        headers: { 'X-Trace': 'charge {{charge_id}}', Accept: 'application/json' },
        body_template: {
          amount: '{{amount}}',
          text: 'Refund {{amount}}',
          nested: ['{{tags}}', '{{missing}}'],
        },
        input_schema: schema({
          charge_id: text,
          amount: integer,
          notify: { type: 'boolean' },
          tags: { type: 'array' },
          missing: text,
        }),
      },
      { charge_id: 'ch 1', amount: 5, notify: true, tags: ['a&b', 'c'] },
    )
    expect(request).toEqual({
      origin: 'https://api.example.com',
      method: 'POST',
      path: '/v1/charges/ch%201/refund?notify=true&locale=de&tag=a%26b&tag=c&note=n-5',
      headers: ['x-trace', 'charge ch 1', 'accept', 'application/json', 'content-type', 'application/json'],
      body: '{"amount":5,"text":"Refund 5","nested":[["a&b","c"]]}',
    })
  })

  test('leaves out what is absent and writes nothing for it inside a text', () => {
    const optional = schema({ a: text, b: text })
    expect(
      build(
        {
          method: 'PUT',
          target_url: 'https://h.example/?a={a}&p=x{a}y',
          query: { b: '{{b}}', c: '[{{b}}]' },
          headers: { 'x-a': '{{a}}', 'x-b': '<{{b}}>' },
          body_template: { a: '{{a}}', list: [1, '{{b}}'], line: 'a={{a}}' },
          input_schema: optional,
        },
        {},
      ),
    ).toEqual({
      origin: 'https://h.example',
      method: 'PUT',
      path: '/?p=xy&c=%5B%5D',
      headers: ['x-b', '<>', 'content-type', 'application/json'],
      body: '{"list":[1],"line":"a="}',
    })
  })

  test('keeps null, zero, false, empty text, lists and objects as typed body values', () => {
    const values = { n: null, z: 0, f: false, e: '', l: [1, [2]], o: { p: { q: 1 } } }
    const names = Object.keys(values)
    const request = build(
      {
        method: 'PATCH',
        body_template: Object.fromEntries(names.map((name) => [name, `{{ ${name} }}`])),
        input_schema: schema(Object.fromEntries(names.map((name) => [name, true]).map(([n]) => [n, {}]))),
      },
      values,
    )
    expect(JSON.parse(request.body ?? '')).toEqual(values)
  })

  test('places inputs that no template names by x-in, else in the body or the query by method', () => {
    const input_schema = schema({
      q: { type: 'string', 'x-in': 'query' },
      'X-Tenant': { type: 'string', 'x-in': 'header' },
      b: { type: 'string', 'x-in': 'body' },
      rest: text,
    })
    const input = { q: 'ü', 'X-Tenant': 't', b: 'B', rest: 'R' }
    const posted = build({ method: 'POST', input_schema }, input)
    expect(posted.path).toBe('/v1/things?q=%C3%BC')
    expect(posted.headers).toEqual(['x-tenant', 't', 'content-type', 'application/json'])
    expect(posted.body).toBe('{"b":"B","rest":"R"}')
    const deleted = build({ method: 'DELETE', input_schema }, input)
    expect(deleted.path).toBe('/v1/things?q=%C3%BC&rest=R')
    expect(deleted.body).toBe('{"b":"B"}')
    const templated = build({ method: 'POST', input_schema, body_template: { fixed: 1 } }, input)
    expect(templated.body).toBe('{"fixed":1,"b":"B"}')
  })

  test('sends no body when no input can be in one, and an empty object when none was given', () => {
    expect(build({ method: 'POST' }, {})).toMatchObject({ body: null, headers: [] })
    expect(build({ method: 'POST', input_schema: schema({ a: text }) }, {}).body).toBe('{}')
    const placed = schema({ a: { type: 'string', 'x-in': 'query' } })
    expect(build({ method: 'POST', input_schema: placed }, {}).body).toBeNull()
  })

  test('keeps the JSON content type that the operator chose', () => {
    const headers = { 'Content-Type': 'application/merge-patch+json; charset=utf-8' }
    expect(build({ method: 'PATCH', headers, body_template: {} }, {}).headers).toEqual([
      'content-type',
      'application/merge-patch+json; charset=utf-8',
    ])
  })

  test('reads dotted paths by own properties, and a property whose name has a dot by its name', () => {
    const input_schema = schema(
      { address: { $ref: '#/$defs/address' }, 'a.b': text },
      { $defs: { address: { properties: { city: text, constructor: text } } } },
    )
    const body_template = { c: '{{address.city}}', d: '{{a.b}}', e: '{{address.constructor}}' }
    const request = build(
      { method: 'POST', body_template, input_schema },
      { address: { city: 'Köln' }, 'a.b': 'x' },
    )
    expect(request.body).toBe('{"c":"Köln","d":"x"}')
  })

  test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toJSON', 'then'])(
    'treats %s as an ordinary key and input name',
    (key) => {
      const value = (content: unknown) => JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(content)}}`)
      const inherited = build(
        { method: 'POST', body_template: value(`{{${key}}}`), input_schema: { properties: value(text) } },
        {},
      )
      expect(inherited.body).toBe('{}')
      const templated = build(
        { method: 'POST', body_template: value(`{{${key}}}`), input_schema: { properties: value(text) } },
        value('mine'),
      )
      expect(templated.body).toBe(`{"${key}":"mine"}`)
      const open = build({ method: 'POST' }, value({ polluted: true }))
      expect(open.body).toBe(`{"${key}":{"polluted":true}}`)
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
      expect(
        problemsOf(() => compileTemplate(template({ target_url: `https://h.example/{${key}}` }))),
      ).toEqual(['target_url'])
    },
  )
})

describe('an input that would leave its place', () => {
  const path = { target_url: 'https://h.example/a/{p}/z', input_schema: schema({ p: {} }) }

  test.each([
    ['a/b', 'a%2Fb'],
    ['../..', '..%2F..'],
    ['%2f', '%252f'],
    ['%2e%2e', '%252e%252e'],
    ['%252e', '%25252e'],
    ['?x=1', '%3Fx%3D1'],
    ['#f', '%23f'],
    ['a;b=c', 'a%3Bb%3Dc'],
    ['..\\..', '..%5C..'],
    ['．．', '%EF%BC%8E%EF%BC%8E'],
    ['․․', '%E2%80%A4%E2%80%A4'],
    ["!'()*", '%21%27%28%29%2A'],
    ['…', '%E2%80%A6'],
    ['...', '...'],
    ['@evil.example', '%40evil.example'],
    ['a b+c', 'a%20b%2Bc'],
  ])('is encoded into one segment: %s', (value, encoded) => {
    expect(build(path, { p: value }).path).toBe(`/a/${encoded}/z`)
  })

  test.each(['.', '..', '', null, undefined, 'a\nb', 'a\rb', 'a\0b', '\ud800', ['a'], { a: 1 }])(
    'is refused as a path segment: %j',
    (value) => {
      expect(problemsOf(() => build(path, value === undefined ? {} : { p: value }))).toEqual(['p'])
    },
  )

  test('cannot make a dot segment out of several placeholders or static text', () => {
    const input_schema = schema({ a: text, b: text })
    const dots = { target_url: 'https://h.example/x/{a}{b}/y', input_schema }
    expect(problemsOf(() => build(dots, { a: '.', b: '.' }))).toEqual(['a'])
    const half = { target_url: 'https://h.example/x/.{a}/y', input_schema: schema({ a: text }) }
    expect(problemsOf(() => build(half, { a: '.' }))).toEqual(['a'])
    for (const segment of ['%2e{a}', '%2{a}', '%{a}', '{a}%2E']) {
      const target_url = `https://h.example/x/${segment}/y`
      expect(
        problemsOf(() => compileTemplate(template({ target_url, input_schema: schema({ a: text }) }))),
      ).toEqual(['target_url'])
    }
  })

  test.each(['a\r\nx-injected: 1', 'a\nb', 'a\0', 'a\x7f', '\x1b', '日本', '😀', 'a\ud800'])(
    'is refused in a header: %j',
    (value) => {
      const input_schema = schema({ v: text })
      expect(problemsOf(() => build({ headers: { 'x-v': '{{v}}' }, input_schema }, { v: value }))).toEqual([
        'v',
      ])
      expect(problemsOf(() => build({ headers: { 'x-v': 'a{{v}}' }, input_schema }, { v: value }))).toEqual([
        'v',
      ])
    },
  )

  test('adds no query parameter and no separator', () => {
    const input_schema = schema({ v: {} })
    const built = build(
      { target_url: 'https://h.example/?a={v}', query: { b: '{{v}}' }, input_schema },
      { v: '1&c=2#' },
    )
    expect(built.path).toBe('/?a=1%26c%3D2%23&b=1%26c%3D2%23')
    expect(problemsOf(() => build({ input_schema }, { v: 'x', api_key: 'mine' }))).toEqual(['api_key'])
    expect(problemsOf(() => build({ input_schema }, { v: { a: 1 } }))).toEqual(['v'])
    expect(problemsOf(() => build({ input_schema }, { v: ['a\r\nb'] }))).toEqual(['v'])
  })
})

describe('a template that is refused', () => {
  const declared = schema({ a: text, o: { type: 'object' }, l: { type: ['array', 'null'] } })
  const cases: [string, Partial<RequestTemplate>, string][] = [
    ['unknown URL placeholder', { target_url: 'https://h.example/{nope}' }, 'target_url'],
    ['unknown query placeholder', { query: { x: '{{nope}}' } }, 'query.x'],
    ['unknown header placeholder', { headers: { 'X-Foo': 'a {{nope}}' } }, 'headers.X-Foo'],
    [
      'unknown body placeholder',
      { method: 'POST', body_template: { a: { b: '{{nope}}' } } },
      'body_template.a.b',
    ],
    ['secret by name', { method: 'POST', body_template: ['{{secrets.KEY}}'] }, 'body_template.0'],
    ['undeclared nested path', { method: 'POST', body_template: { a: '{{o.city}}' } }, 'body_template.a'],
    ['placeholder in the host', { target_url: 'https://{a}.example/' }, 'target_url'],
    ['placeholder as the host', { target_url: 'https://{a}' }, 'target_url'],
    ['placeholder in the port', { target_url: 'https://h.example:{a}/' }, 'target_url'],
    ['placeholder in the scheme', { target_url: '{a}://h.example/' }, 'target_url'],
    ['placeholder in the user', { target_url: 'https://{a}@h.example/' }, 'target_url'],
    ['user and password', { target_url: 'https://u:p@h.example/' }, 'target_url'],
    ['fragment', { target_url: 'https://h.example/#{a}' }, 'target_url'],
    ['relative URL', { target_url: '/v1/x' }, 'target_url'],
    ['other scheme', { target_url: 'file:///etc/passwd' }, 'target_url'],
    ['backslash', { target_url: 'https://h.example\\@evil.example/' }, 'target_url'],
    ['tab in the host', { target_url: 'https://h.exam\tple/' }, 'target_url'],
    ['dot segments', { target_url: 'https://h.example/a/../b' }, 'target_url'],
    ['encoded dot segments', { target_url: 'https://h.example/a/%2E%2e/{a}' }, 'target_url'],
    ['double braces in a URL', { target_url: 'https://h.example/{{a}}' }, 'target_url'],
    ['open brace in a URL', { target_url: 'https://h.example/{a' }, 'target_url'],
    ['stray brace in a URL', { target_url: 'https://h.example/a}' }, 'target_url'],
    ['empty placeholder', { target_url: 'https://h.example/{}' }, 'target_url'],
    ['templated query name', { target_url: 'https://h.example/?{a}=1' }, 'target_url'],
    ['object in the path', { target_url: 'https://h.example/{o}' }, 'target_url'],
    ['list in the path', { target_url: 'https://h.example/{l}' }, 'target_url'],
    ['list in a header', { headers: { 'x-l': '{{l}}' } }, 'headers.x-l'],
    ['object in the query', { query: { o: '{{o}}' } }, 'query.o'],
    ['list inside a text', { method: 'POST', body_template: { a: 'x{{l}}' } }, 'body_template.a'],
    ['open braces', { query: { x: '{{a' } }, 'query.x'],
    ['templated key', { method: 'POST', body_template: { '{{a}}': 1 } }, 'body_template.{{a}}'],
    ['body on GET', { body_template: {} }, 'body_template'],
    ['query set twice', { target_url: 'https://h.example/?x=1', query: { x: '2' } }, 'query.x'],
    ['header in two cases', { headers: { 'X-A': '1', 'x-a': '2' } }, 'headers.x-a'],
    ['other content type', { headers: { 'content-type': 'text/xml' } }, 'headers.content-type'],
    ['templated content type', { headers: { 'content-type': 'application/{{a}}' } }, 'headers.content-type'],
    ['line break in a header', { headers: { 'x-a': 'a\r\nb: c' } }, 'headers.x-a'],
    ['emoji in a header', { headers: { 'x-a': '😀' } }, 'headers.x-a'],
    ...[
      'Host',
      'Content-Length',
      'transfer-encoding',
      'Connection',
      'TE',
      'Trailer',
      'Upgrade',
      'Proxy-Authorization',
      'Expect',
      'Keep-Alive',
      'Authorization',
      'Accept-Encoding',
      'X-Forwarded-For',
      'x_api_key',
      'x y',
      'x:y',
      '',
      'x\r\ny',
    ].map((name): [string, Partial<RequestTemplate>, string] => [
      `header ${JSON.stringify(name)}`,
      { headers: { [name]: 'v' } },
      `headers.${name}`,
    ]),
  ]

  test.each(cases)('names its field: %s', (_, changes, field) => {
    const whole = template({ input_schema: declared, ...changes })
    expect(problemsOf(() => compileTemplate(whole))).toContain(field)
  })

  test.each([
    [{ p: { type: 'string', 'x-in': 'path' } }, 'input_schema.properties.p.x-in'],
    [{ p: { type: 'string', 'x-in': 'cookie' } }, 'input_schema.properties.p.x-in'],
    [{ Host: { type: 'string', 'x-in': 'header' } }, 'input_schema.properties.Host'],
    [{ x_y: { type: 'string', 'x-in': 'header' } }, 'input_schema.properties.x_y'],
    [{ authorization: { type: 'string', 'x-in': 'header' } }, 'input_schema.properties.authorization'],
    [{ b: { type: 'string', 'x-in': 'body' } }, 'input_schema.properties.b.x-in'],
    [{ o: { type: 'object' } }, 'input_schema.properties.o'],
  ])('names the input that cannot be placed: %j', (properties, field) => {
    expect(problemsOf(() => compileTemplate(template({ input_schema: schema(properties) })))).toEqual([field])
  })

  test('reports every problem at once', () => {
    const bad = template({
      target_url: 'https://h.example/{x}',
      query: { q: '{{y}}' },
      headers: { host: 'h' },
    })
    expect(problemsOf(() => compileTemplate(bad))).toEqual(['target_url', 'query.q', 'headers.host'])
  })

  test('may set a cookie that the operator wrote', () => {
    expect(build({ headers: { Cookie: 'a=b' } }, {}).headers).toEqual(['cookie', 'a=b'])
  })
})

describe('for any input', () => {
  const shape = compileTemplate(
    template({
      target_url: 'https://h.example/a/{p}/v{q}.json/z?s=1&u={u}',
      query: { r: 'x{{u}}', l: '{{l}}' },
      input_schema: schema({ p: text, q: text, u: text, l: { type: 'array' } }),
    }),
  )
  const nasty = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom(
        '.',
        '/',
        '%',
        '2',
        'e',
        'f',
        '\\',
        '?',
        '#',
        '&',
        '=',
        ';',
        '\n',
        '．',
        '@',
        ':',
      ),
    }),
    fc.constantFrom('.', '..', '%2e%2e', '..%2f', '//evil.example', '\\\\evil.example'),
  )

  test('the built URL keeps origin, path skeleton, segment count and parameter names', () => {
    const run = fc.property(nasty, nasty, nasty, fc.array(nasty, { maxLength: 3 }), (p, q, u, l) => {
      let built: ReturnType<typeof shape.build>
      try {
        built = shape.build({ p, q, u, l })
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError)
        return
      }
      const url = new URL(built.origin + built.path)
      expect(url.origin).toBe('https://h.example')
      expect(url.pathname + url.search).toBe(built.path)
      const segments = url.pathname.split('/')
      expect(segments).toHaveLength(5)
      expect([segments[1], segments[4]]).toEqual(['a', 'z'])
      expect(decodeURIComponent(segments[2] ?? '')).toBe(p)
      expect(decodeURIComponent(segments[3] ?? '')).toBe(`v${q}.json`)
      expect([...url.searchParams]).toEqual([
        ['s', '1'],
        ['u', u],
        ['r', `x${u}`],
        ...l.map((item) => ['l', item]),
      ])
    })
    fc.assert(run, { numRuns: 500 })
  })

  test('a header value never carries a line break or other control character', () => {
    const header = compileTemplate(
      template({ headers: { 'x-v': 'a{{v}}' }, input_schema: schema({ v: text }) }),
    )
    const run = fc.property(fc.string({ unit: 'binary' }), (v) => {
      try {
        expect(header.build({ v }).headers).toEqual(['x-v', `a${v}`])
        expect(v).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
      }
    })
    fc.assert(run)
  })

  test('a JSON input arrives as the body unchanged when no template says otherwise', () => {
    const open = compileTemplate(template({ method: 'POST' }))
    const run = fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (input) => {
      expect(open.build(input).body).toBe(JSON.stringify(input))
    })
    fc.assert(run)
  })
})
