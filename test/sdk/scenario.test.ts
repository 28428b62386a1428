import { contract, routesOf } from '@narrowapi/contract'
import { createMockNarrowAPI } from '@narrowapi/sdk/testing'
import { expect, it } from 'vitest'
import { startTestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { type Exchange, runScenario, type UpstreamAnswer } from './scenario.ts'

const [real, mocked] = await Promise.all([askServer(), askMock()])

it('takes the same steps with the mock as with the server', () => {
  expect(mocked.map(nameOf)).toEqual(real.map(nameOf))
})

it.each(real.map((exchange, index) => ({ name: nameOf(exchange), index, exchange })))(
  'gives the same answer: $name',
  ({ index, exchange }) => {
    const answer = mocked[index]
    expect(answer && shapeOf(answer)).toEqual(shapeOf(exchange))
  },
)

it('lets every operation succeed at least once', () => {
  const succeeded = new Set(
    mocked.flatMap(({ operation, status }) => (operation !== undefined && status < 300 ? [operation] : [])),
  )
  const all = routesOf(contract).map(({ noun, name }) => `${noun}.${name}`)
  expect(all.filter((operation) => !succeeded.has(operation))).toEqual([])
})

it('has every operation that can refuse an input or an object refuse one', () => {
  const refused = new Set(mocked.flatMap(({ operation, status }) => (status >= 400 ? [operation] : [])))
  const refusing = routesOf(contract).filter(({ route }) => route.path.includes(':'))
  expect(refusing.map(({ noun, name }) => `${noun}.${name}`).filter((id) => !refused.has(id))).toEqual([])
})

async function askServer(): Promise<Exchange[]> {
  const server = await startTestServer()
  const upstream = await startUpstream()
  try {
    const owner = await server.newWorkspace()
    return await runScenario({
      baseUrl: server.url,
      fetch,
      ownerKey: owner.key,
      workspaceId: owner.workspaceId,
      upstreamUrl: upstream.url,
      answerWith: (answer) => {
        upstream.answer = (_, res) => res.writeHead(answer.status, headersOf(answer)).end(answer.text)
      },
    })
  } finally {
    await server.stop()
    await upstream.stop()
  }
}

async function askMock(): Promise<Exchange[]> {
  const mock = createMockNarrowAPI({ seed: { workspace: { name: 'w-00000000' } } })
  const responseOf = (answer: UpstreamAnswer) =>
    new Response(answer.status === 204 ? null : answer.text, {
      status: answer.status,
      headers: headersOf(answer),
    })
  return runScenario({
    baseUrl: 'http://narrow.test',
    fetch: mock.fetch,
    ownerKey: mock.apiKey,
    workspaceId: mock.workspaceId,
    upstreamUrl: 'http://upstream.test',
    answerWith: (answer) => void mock.on('x.execute', () => responseOf(answer)),
  })
}

function headersOf({ type = 'application/json', retryAfter }: UpstreamAnswer): Record<string, string> {
  return { 'content-type': type, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) }
}

function nameOf({ step, operation }: Exchange): string {
  return `${step} (${operation ?? 'by hand'})`
}

/** An answer without what two worlds cannot have in common: ids, times, secrets, wording, and how long it took. */
function shapeOf({ status, headers, body }: Exchange): unknown {
  const told = headers.filter(([name]) => !ofTheConnection.has(name))
  return {
    status,
    headers: Object.fromEntries(
      told.map(([name, value]) => [name, counted.has(name) ? 'number' : textShape(value)]),
    ),
    body: bodyShape(body, ''),
  }
}

/** Made by whatever carries an answer, not by the API. */
const ofTheConnection = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date'])

const counted = new Set([
  'ratelimit',
  'retry-after',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-request-id',
])

/** What is measured or made up. Which of them is there, and which is null, still counts. */
const ofOneWorld = new Set([
  'request_id',
  'duration_ms',
  'fingerprint',
  'ip',
  'slug',
  'reset_at',
  'retry_after_seconds',
  'prefix',
  'last_four',
  'doc_url',
  'hash',
  'prev_hash',
])

function bodyShape(value: unknown, field: string): unknown {
  // The order in which problems and changes are listed is no promise.
  if (Array.isArray(value) && (field === 'details' || field === 'changes')) {
    return value.map((item) => bodyShape(item, field)).sort((a, b) => (text(a) < text(b) ? -1 : 1))
  }
  if (Array.isArray(value)) return value.map((item) => bodyShape(item, field))
  if (typeof value === 'object' && value !== null) {
    const shaped = Object.entries(value).map(([name, inner]) => [name, bodyShape(inner, name)] as const)
    // A change of what tells credentials apart.
    if ('from' in value && 'field' in value && value.field === 'last_four') return 'last_four'
    // Uses are exact where they are limited; elsewhere they are counted a few seconds later.
    const isCounted = 'uses' in value && 'max_uses' in value && value.max_uses !== null
    return Object.fromEntries(
      shaped.map(([name, inner]) => [name, name === 'uses' && !isCounted ? 'number' : inner]),
    )
  }
  // Refusals get numbers of the chain too, a moment later.
  if (field === 'seq') return 'number'
  // Told "to about a minute", so a null may be late.
  if (field === 'last_used_at') return 'moment or null'
  if (field === 'user_agent') return 'string or null'
  if (field === 'message' && typeof value === 'string') return textShape(inOtherWords.get(value) ?? value)
  if (value !== null && ofOneWorld.has(field)) return typeof value
  return typeof value === 'string' ? textShape(value) : value
}

const text = (value: unknown): string => JSON.stringify(value)

/** What the mock says in its own words, because it looks less closely or has something to add. */
const inOtherWords = new Map([
  ['The JSON body is refused at byte 1: a name in double quotes is expected', 'The body is not JSON'],
  [
    'must name its host plainly: no encoded, numeric or look-alike form',
    'must be an absolute URL: https://host/path',
  ],
  [
    'Send a valid execution token: Authorization: Bearer sxt_…',
    'Send an execution token that this mock gave out: create or seed one',
  ],
])

function textShape(text: string): string {
  return (
    text
      .replaceAll(/\b(ws|key|act|tok|exec|sec|aud|req)_[0-9A-Za-z]{22}\b/g, '$1_…')
      .replaceAll(/\b(sk|sxt)_[0-9A-Za-z]{49}\b/g, '$1_…')
      // An id of the wrong form is refused before it is looked for.
      .replace(/^There is no [\w ]+ with this id$/, 'It does not exist, or is not yours')
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (moment) =>
        moment.startsWith('2099') || moment.startsWith('2020') ? moment : 'moment',
      )
      .replaceAll(/https?:\/\/(127\.0\.0\.1:\d+|upstream\.test)/g, 'upstream')
      .replace(/^(The JSON body is refused) at byte \d+[^:]*/, '$1')
      .replace(/in \d+ seconds/, 'in some seconds')
      .replaceAll(/cursor=[\w-]+/g, 'cursor=…')
      .replace(/^w-\w{8}$/, 'w-…')
      .replace(/^[\w-]{40,}$/, 'opaque')
  )
}
