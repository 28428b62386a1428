import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Execution } from '@narrowapi/sdk'
import {
  isWebhookError,
  signTestEvent,
  verify,
  WebhookError,
  type WebhookErrorCode,
  type WebhookEvent,
  type WebhookHeaders,
} from '@narrowapi/sdk/webhooks'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, vi } from 'vitest'

const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString('base64')}`
const secret = newSecret()
const body = JSON.stringify({ type: 'webhook.test', timestamp: '2026-11-23T08:00:00.000Z', data: { n: 1 } })
const at = new Date('2026-11-23T08:00:00Z')
const seconds = at.getTime() / 1000
const now = () => at

/** What another implementation of the standard sends for this body. */
const theirs = (text = body, { key = secret, id = 'evt_1', sentAt = at } = {}): Record<string, string> => ({
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
  'webhook-signature': new Webhook(key).sign(id, sentAt, text),
})

/** The code of the error that a call is refused with; any other end fails the test. */
const codeOf = async (call: Promise<unknown>): Promise<WebhookErrorCode> => {
  const error = await call.then(
    (value) => new Error(`was accepted: ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  )
  if (!isWebhookError(error)) throw error
  return error.code
}

const refusal = (headers: WebhookHeaders, text: string | Uint8Array = body, key: unknown = secret) =>
  codeOf(verify(text, headers, key as string, { now }))

describe('together with the npm package standardwebhooks', () => {
  it('verifies what the other signs', async () => {
    const event = await verify(body, theirs(), secret, { now })
    expect(event).toEqual({ id: 'evt_1', ...JSON.parse(body) })
  })

  it('signs what the other verifies', async () => {
    const signed = await signTestEvent({ type: 'webhook.test', data: { n: 1 } }, secret)
    const event = new Webhook(secret).verify(signed.body, signed.headers)
    expect(event).toMatchObject({ type: 'webhook.test', data: { n: 1 } })
  })

  it('agrees with the other on every body, id, secret and time, and on whatever is changed in them', async () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 60 })
    const delivery = fc.record({
      data: fc.dictionary(word, fc.jsonValue()),
      id: fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/),
      bytes: fc.integer({ min: 24, max: 64 }),
      moved: fc.integer({ min: -300, max: 300 }),
      cut: fc.nat(),
    })
    const run = async ({ data, id, bytes, moved, cut }: Delivery) => {
      const key = newSecret(bytes)
      const sentAt = new Date(Math.floor(Date.now() / 1000 + moved * 0.9) * 1000)
      const text = JSON.stringify({ type: 'form.submitted', timestamp: sentAt.toISOString(), data })
      const headers = theirs(text, { key, id, sentAt })
      expect(await verify(text, headers, key)).toEqual({ id, ...JSON.parse(text) })
      const signed = await signTestEvent({ type: 'form.submitted', data }, key, { id, timestamp: sentAt })
      expect(signed.headers).toMatchObject(headers)
      expect(new Webhook(key).verify(signed.body, signed.headers)).toEqual(JSON.parse(signed.body))
      const place = cut % text.length
      const changed = `${text.slice(0, place)}${text[place] === 'x' ? 'y' : 'x'}${text.slice(place + 1)}`
      // Half of a surrogate pair becomes the same replacement character whichever half it is.
      if (changed.isWellFormed())
        expect(await codeOf(verify(changed, headers, key))).toBe('signature_mismatch')
    }
    type Delivery = { data: Record<string, unknown>; id: string; bytes: number; moved: number; cut: number }
    await fc.assert(fc.asyncProperty(delivery, run), { numRuns: 300 })
  })

  it('verifies the published example of the standard', async () => {
    // The vector that the libraries of the standard share.
    const text = '{"test": 2432232314}'
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    const key = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    const then = { now: () => 1_614_265_330_000 }
    // The signature fits; what was signed there is no event.
    expect(await codeOf(verify(text, headers, key, then))).toBe('invalid_payload')
    expect(await codeOf(verify(`${text} `, headers, key, then))).toBe('signature_mismatch')
  })
})

describe('what a delivery may look like', () => {
  it('reads headers of every kind, whatever the case of their names', async () => {
    const plain = theirs()
    const upper = Object.fromEntries(
      Object.entries(plain).map(([name, value]) => [name.toUpperCase(), value]),
    )
    const lists = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, [value]]))
    for (const headers of [plain, upper, lists, new Headers(plain), new Headers(upper)]) {
      expect((await verify(body, headers, secret, { now })).id).toBe('evt_1')
    }
  })

  it('reads bodies as text, bytes, a part of a buffer, and an ArrayBuffer', async () => {
    const text = JSON.stringify({
      type: 'form.submitted',
      timestamp: at.toISOString(),
      data: { name: 'Zoë 🦊 寿司' },
    })
    const bytes = Buffer.from(text)
    const part = new Uint8Array([0, 0, ...bytes, 0]).subarray(2, 2 + bytes.length)
    const whole = new Uint8Array(bytes).buffer
    for (const payload of [text, bytes, part, whole]) {
      const event = await verify(payload, theirs(text), secret, { now })
      expect(event.data).toEqual({ name: 'Zoë 🦊 寿司' })
    }
  })

  it('takes the raw bytes and headers of a Node server', async () => {
    const results: unknown[] = []
    const server = createServer(async (request, response) => {
      results.push(await verify(await buffer(request), request.headers, secret).catch((error) => error.code))
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const signed = await signTestEvent({ type: 'webhook.test', data: { text: '…' } }, secret, { id: 'evt_2' })
    await fetch(url, { method: 'POST', ...signed })
    await fetch(url, { method: 'POST', ...signed, body: `${signed.body}\n` })
    server.close()
    expect(results).toEqual([expect.objectContaining({ id: 'evt_2' }), 'signature_mismatch'])
  })

  it('accepts either secret while one is being replaced', async () => {
    const [old, next, other] = [newSecret(), newSecret(), newSecret()]
    const both = await signTestEvent({ type: 'webhook.test', data: {} }, [old, next])
    expect(both.headers['webhook-signature'].split(' ')).toHaveLength(2)
    for (const secrets of [old, next, [other, next], [old, next]]) {
      await expect(verify(both.body, both.headers, secrets)).resolves.toMatchObject({ type: 'webhook.test' })
    }
    const onlyOld = await signTestEvent({ type: 'webhook.test', data: {} }, old)
    await expect(verify(onlyOld.body, onlyOld.headers, [next, old])).resolves.toBeDefined()
    expect(await codeOf(verify(onlyOld.body, onlyOld.headers, [next, other]))).toBe('signature_mismatch')
    expect(new Webhook(next).verify(both.body, both.headers)).toMatchObject({ type: 'webhook.test' })
  })

  it('ignores signatures of other versions', async () => {
    const headers = theirs()
    const signature = headers['webhook-signature']
    const mixed = { ...headers, 'webhook-signature': `v1a,AAAA v2,zzz ${signature} v9` }
    await expect(verify(body, mixed, secret, { now })).resolves.toBeDefined()
    const renamed = { ...headers, 'webhook-signature': String(signature).replace('v1,', 'v2,') }
    expect(await refusal(renamed)).toBe('malformed_header')
  })

  it('uses a secret without the prefix as it stands, as text or as bytes', async () => {
    const own = 'a secret of our own, ünïcode'
    const headers = {
      ...theirs(),
      'webhook-signature': new Webhook(Buffer.from(own), { format: 'raw' }).sign('evt_1', at, body),
    }
    await expect(verify(body, headers, own, { now })).resolves.toBeDefined()
    await expect(verify(body, headers, new TextEncoder().encode(own), { now })).resolves.toBeDefined()
  })
})

describe('time', () => {
  const sent = (offset: number) => theirs(body, { sentAt: new Date(at.getTime() + offset * 1000) })

  it('accepts 300 seconds in both directions and refuses the 301st', async () => {
    for (const offset of [-300, 0, 300])
      await expect(verify(body, sent(offset), secret, { now })).resolves.toBeDefined()
    expect(await refusal(sent(-301))).toBe('timestamp_too_old')
    expect(await refusal(sent(301))).toBe('timestamp_too_new')
  })

  it('takes null for no options, and milliseconds for a date', async () => {
    const options = { timestamp: Date.now() as never }
    const signed = await signTestEvent({ type: 'x.y', data: {} }, secret, options)
    await expect(verify(signed.body, signed.headers, secret, null as never)).resolves.toBeDefined()
  })

  it('takes another tolerance', async () => {
    const within = (toleranceSeconds: number, offset: number) =>
      verify(body, sent(offset), secret, { now, toleranceSeconds })
    await expect(within(0, 0)).resolves.toBeDefined()
    expect(await codeOf(within(0, -1))).toBe('timestamp_too_old')
    expect(await codeOf(within(10, 11))).toBe('timestamp_too_new')
    await expect(within(Number.POSITIVE_INFINITY, -1e6)).resolves.toBeDefined()
    for (const wrong of [Number.NaN, -1]) expect(await codeOf(within(wrong, 0))).toBe('invalid_usage')
  })

  it('refuses a delivery that is sent again later, and gives a copy within the time the same id', async () => {
    const recorded = await signTestEvent({ type: 'webhook.test', data: {} }, secret, { timestamp: at })
    const receive = (later: number) =>
      verify(recorded.body, recorded.headers, secret, { now: () => at.getTime() + later * 1000 })
    expect((await receive(0)).id).toBe((await receive(200)).id)
    expect(await codeOf(receive(301))).toBe('timestamp_too_old')
    const renewed = { ...recorded.headers, 'webhook-timestamp': String(seconds + 301) }
    const later = { now: () => at.getTime() + 301_000 }
    expect(await codeOf(verify(recorded.body, renewed, secret, later))).toBe('signature_mismatch')
  })
})

describe('attacks', () => {
  const headers = theirs()
  const signature = String(headers['webhook-signature'])
  const other = signature.endsWith('A=') ? 'B=' : 'A='

  it.each<[string, Record<string, string>, string | Uint8Array, WebhookErrorCode]>([
    ['another body', headers, body.replace('1', '2'), 'signature_mismatch'],
    ['a space more', headers, `${body} `, 'signature_mismatch'],
    ['a byte order mark', headers, `\uFEFF${body}`, 'signature_mismatch'],
    ['no body', headers, '', 'signature_mismatch'],
    ['the body printed again', headers, JSON.stringify(JSON.parse(body), null, 1), 'signature_mismatch'],
    ['another id', { ...headers, 'webhook-id': 'evt_2' }, body, 'signature_mismatch'],
    ['another second', { ...headers, 'webhook-timestamp': `${seconds + 1}` }, body, 'signature_mismatch'],
    [
      'a second with a zero in front',
      { ...headers, 'webhook-timestamp': `0${seconds}` },
      body,
      'signature_mismatch',
    ],
    ['text after the second', { ...headers, 'webhook-timestamp': `${seconds}abc` }, body, 'malformed_header'],
    ['a fraction of a second', { ...headers, 'webhook-timestamp': `${seconds}.0` }, body, 'malformed_header'],
    ['an exponent', { ...headers, 'webhook-timestamp': '1e9' }, body, 'malformed_header'],
    ['a negative second', { ...headers, 'webhook-timestamp': '-1' }, body, 'malformed_header'],
    ['milliseconds', { ...headers, 'webhook-timestamp': `${seconds}000` }, body, 'malformed_header'],
    ['an id with a dot', { ...headers, 'webhook-id': 'evt.1' }, body, 'malformed_header'],
    ['an id with a space', { ...headers, 'webhook-id': 'evt 1' }, body, 'malformed_header'],
    ['an id outside ASCII', { ...headers, 'webhook-id': 'évt' }, body, 'malformed_header'],
    ['a long id', { ...headers, 'webhook-id': 'e'.repeat(257) }, body, 'malformed_header'],
    [
      'a huge header',
      { ...headers, 'webhook-signature': `${'v1,x '.repeat(1e6)}` },
      body,
      'malformed_header',
    ],
    [
      'more signatures than a rotation needs',
      { ...headers, 'webhook-signature': `${'v1,x '.repeat(16)}${signature}` },
      body,
      'malformed_header',
    ],
    ['no version', { ...headers, 'webhook-signature': signature.slice(3) }, body, 'malformed_header'],
    [
      'an upper-case version',
      { ...headers, 'webhook-signature': signature.toUpperCase() },
      body,
      'malformed_header',
    ],
    [
      'a signature cut short',
      { ...headers, 'webhook-signature': signature.slice(0, -4) },
      body,
      'signature_mismatch',
    ],
    ['a signature of nothing', { ...headers, 'webhook-signature': 'v1,' }, body, 'signature_mismatch'],
    [
      'another padding',
      { ...headers, 'webhook-signature': signature.slice(0, -1) },
      body,
      'signature_mismatch',
    ],
    [
      'other bits of the padding',
      { ...headers, 'webhook-signature': signature.slice(0, -2) + other },
      body,
      'signature_mismatch',
    ],
    [
      'text that is no base64',
      { ...headers, 'webhook-signature': `v1,${'*'.repeat(44)}` },
      body,
      'signature_mismatch',
    ],
    [
      'signatures joined by commas',
      { ...headers, 'webhook-signature': `v1,x, ${signature},` },
      body,
      'signature_mismatch',
    ],
    [
      "the signature of another endpoint's secret",
      theirs(body, { key: newSecret() }),
      body,
      'signature_mismatch',
    ],
  ])('refuses %s', async (_, changed, text, code) => {
    expect(await refusal(changed, text)).toBe(code)
    expect(
      await refusal(new Headers(Object.entries(changed).filter(([, value]) => isLatin(value))), text),
    ).toBe(Object.values(changed).every(isLatin) ? code : 'missing_header')
  })

  it('finds the right one among as many signatures as it reads', async () => {
    const many = { ...headers, 'webhook-signature': `${'v1,x '.repeat(15)}${signature}` }
    await expect(verify(body, many, secret, { now })).resolves.toBeDefined()
  })

  it('moves no bytes between id, time and body', async () => {
    // What is signed is `id.time.body`, so the dots must not be able to move.
    const text = `${seconds}.${body}`
    const shifted = { ...theirs(text, { id: 'evt' }), 'webhook-id': `evt.${seconds}` }
    expect(await refusal(shifted, body)).toBe('malformed_header')
  })

  it('refuses a header that stands twice', async () => {
    const twice = { ...headers, 'Webhook-Id': 'evt_1' }
    expect(await refusal(twice)).toBe('malformed_header')
    expect(await refusal({ ...headers, 'webhook-signature': [signature, signature] })).toBe(
      'malformed_header',
    )
    const appended = new Headers(headers)
    appended.append('webhook-id', 'evt_1')
    expect(await refusal(appended)).toBe('malformed_header')
  })

  it('names the header that is missing', async () => {
    for (const name of Object.keys(headers)) {
      for (const value of [undefined, '']) {
        const call = verify(body, { ...headers, [name]: value }, secret, { now })
        await expect(call).rejects.toMatchObject({
          code: 'missing_header',
          message: expect.stringContaining(name),
        })
      }
    }
  })

  it('reads a body once for each secret, however many signatures are sent', async () => {
    const sign = vi.spyOn(crypto.subtle, 'sign')
    await refusal({ ...headers, 'webhook-signature': 'v1,x '.repeat(16).trim() })
    expect(sign).toHaveBeenCalledTimes(1)
  })
})

describe('what is wrong on our side', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['no secret', []],
    ['an empty text', ''],
    ['a short text', 'short'],
    ['a number', 42],
    ['a list with a hole', [secret, undefined]],
    ['only the prefix', 'whsec_'],
    ['base64 of too few bytes', newSecret(23)],
    ['base64 of too many bytes', newSecret(65)],
    ['a line break at the end', `${secret}\n`],
    ['characters outside base64', `whsec_${'-_'.repeat(20)}`],
    ['a truncated copy', secret.slice(0, -3)],
  ])('refuses as a secret %s', async (_, key) => {
    expect(await codeOf(verify(body, theirs(), key as string, { now }))).toBe('invalid_secret')
    expect(await codeOf(signTestEvent({ type: 'webhook.test', data: {} }, key as string))).toBe(
      'invalid_secret',
    )
  })

  it('says what to do when the body was parsed already', async () => {
    for (const payload of [JSON.parse(body), undefined, null, 7]) {
      const call = verify(payload as string, theirs(), secret, { now })
      await expect(call).rejects.toMatchObject({ code: 'invalid_usage', message: /as it arrived/ })
    }
  })

  it('refuses headers and values that are none', async () => {
    for (const wrong of [undefined, null, 'webhook-id: 1']) {
      expect(await refusal(wrong as unknown as WebhookHeaders)).toBe('invalid_usage')
    }
    expect(await refusal({ ...theirs(), 'webhook-timestamp': seconds } as never)).toBe('malformed_header')
    expect(await codeOf(verify(body, theirs(), secret, { now: () => new Date(Number.NaN) }))).toBe(
      'invalid_usage',
    )
  })

  it.each([
    '',
    'no JSON',
    'null',
    '[]',
    '7',
    '{"type":1,"timestamp":"","data":{}}',
    '{"type":"a","timestamp":"t"}',
  ])('refuses a signed body that is no event: %s', async (text) => {
    expect(await refusal(theirs(text), text)).toBe('invalid_payload')
  })

  it('refuses signed bytes that are no UTF-8', async () => {
    const bytes = new Uint8Array([0x7b, 0xff, 0x7d])
    const [id, sign] = [
      'evt_1',
      await crypto.subtle.importKey(
        'raw',
        Buffer.from(secret.slice(6), 'base64'),
        { name: 'HMAC', hash: 'SHA-256' },
        false,
        ['sign'],
      ),
    ]
    const signed = await crypto.subtle.sign(
      'HMAC',
      sign,
      Buffer.concat([Buffer.from(`${id}.${seconds}.`), bytes]),
    )
    const headers = { ...theirs(), 'webhook-signature': `v1,${Buffer.from(signed).toString('base64')}` }
    expect(await refusal(headers, bytes)).toBe('invalid_payload')
  })

  it('signs no event that cannot be written', async () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    expect(await codeOf(signTestEvent({ type: 'x.y', data: circular }, secret))).toBe('invalid_usage')
    expect(await codeOf(signTestEvent({ type: 'x.y', data: { n: 1n } }, secret))).toBe('invalid_usage')
    expect(await codeOf(signTestEvent({ type: 'x.y', data: {} }, secret, { timestamp: 'x' as never }))).toBe(
      'invalid_usage',
    )
    const never = new Date(Number.NaN)
    expect(await codeOf(signTestEvent({ type: 'x.y', data: {} }, secret, { timestamp: never }))).toBe(
      'invalid_usage',
    )
  })

  it('tells neither secret nor signature in an error', async () => {
    const headers = theirs()
    const wrong = [
      () => verify(`${body} `, headers, secret, { now }),
      () => verify(body, headers, secret.slice(0, -3), { now }),
      () => verify(body, { ...headers, 'webhook-id': '.' }, secret, { now }),
    ]
    for (const call of wrong) {
      const error = await call().catch((thrown: WebhookError) => thrown)
      const text = `${JSON.stringify(error)} ${(error as WebhookError).stack}`
      expect(text).not.toContain(secret.slice(6, -4))
      expect(text).not.toContain(String(headers['webhook-signature']).slice(3, 20))
    }
  })

  it('recognises errors of another copy of the package', async () => {
    const path = '../../sdk/src/webhooks/errors.ts?copy'
    const copy: typeof import('@narrowapi/sdk/webhooks') = await import(path)
    const error = new copy.WebhookError('invalid_secret', 'from the copy')
    expect(copy.WebhookError).not.toBe(WebhookError)
    expect(error).toBeInstanceOf(WebhookError)
    expect(isWebhookError(error, 'invalid_secret', 'invalid_usage')).toBe(true)
    expect(isWebhookError(error, 'missing_header')).toBe(false)
    for (const value of [new Error('x'), null, undefined, 'text', {}])
      expect(isWebhookError(value)).toBe(false)
  })
})

describe('the types of events', () => {
  const read = (event: WebhookEvent): string => {
    switch (event.type) {
      case 'execution.completed': {
        // Only one event is left, so its data is exactly this.
        const execution: Execution = event.data
        return execution.id
      }
      case 'token.expiring':
        return event.data.expires_at ?? 'never'
      default: {
        // @ts-expect-error: no type is spelt so
        if (event.type === 'execution.complete') return ''
        // @ts-expect-error: what an unknown event holds is not known
        const name: string = event.data.name
        return (event.type as string) === 'teapot.filled' ? `filled ${name}` : event.type
      }
    }
  }

  it('gives known events their data and leaves others open', async () => {
    const receive = async (type: string, data: object) => {
      const signed = await signTestEvent({ type, data }, secret)
      return read(await verify(signed.body, signed.headers, secret))
    }
    expect(await receive('execution.completed', { id: 'exec_1' })).toBe('exec_1')
    expect(await receive('token.expiring', { expires_at: null })).toBe('never')
    expect(await receive('teapot.boiled', { litres: 1 })).toBe('teapot.boiled')
    expect(await receive('teapot.filled', { name: 'blue' })).toBe('filled blue')
  })

  it('types the data of test events by their type', async () => {
    const known = await signTestEvent(
      { type: 'execution.failed', data: { id: 'exec_1', status: 'failed' } },
      secret,
    )
    expect(JSON.parse(known.body).data).toEqual({ id: 'exec_1', status: 'failed' })
    // @ts-expect-error: an execution has no such field
    await signTestEvent({ type: 'execution.failed', data: { colour: 'red' } }, secret)
    await signTestEvent({ type: 'teapot.boiled', data: { colour: 'red' } }, secret)
  })

  it('gives every test event an id of its own', async () => {
    const ids = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const { headers } = await signTestEvent({ type: 'webhook.test', data: {} }, secret)
        return headers['webhook-id']
      }),
    )
    expect(new Set(ids).size).toBe(50)
    for (const id of ids) expect(id).toMatch(/^evt_[0-9A-Za-z]{22}$/)
  })
})

const isLatin = (text: string) => /^[\x20-\x7e]*$/.test(text)
