import { equal, ok } from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, isNarrowError, NarrowAPI, type NarrowApiError } from '@narrowapi/sdk'
import { createNarrator, type Narrator } from './narrator.ts'
import { filesHolding, holds } from './search.ts'
import { type Stage, setStage, upstreamSecret } from './stage.ts'

/** `npm run demo`: one payment for one train booking, told with real parts from the secret to the record. */
const tellStory = async (stage: Stage, narrator: Narrator): Promise<void> => {
  const { trains, narrow } = stage
  const operator = new NarrowAPI({ apiKey: narrow.ownerKey, baseUrl: narrow.url })

  narrator.done(`NarrowAPI answers at ${narrow.url}; its first output told the owner key`)
  narrator.done(`the Train Travel API, played by Prism, answers at ${trains.url}`)
  const stranger = await fetch(`${trains.url}/bookings/${bookingId}/payment`, { method: 'POST' })
  equal(stranger.status, 401, 'the upstream takes calls without a bearer token')
  narrator.refused(`and without its bearer token it answers ${stranger.status}`)

  narrator.step('The operator stores the secret and defines one narrow action')
  const secret = await operator.secrets.create({
    name: 'Train Travel',
    type: 'bearer',
    value: upstreamSecret,
  })
  narrator.done(`${secret.id} holds the secret; what can be read of it is ${secret.fingerprint}`)
  const action = await operator.actions.create({
    ...payForOneBooking,
    target_url: `${trains.url}/bookings/{booking_id}/payment`,
    secret_id: secret.id,
  })
  narrator.done(
    `${action.id} may pay for one booking: in pounds, up to 200, ${callsPerMinute} times a minute`,
  )

  narrator.step('The operator issues a token for it, and this is all an agent gets')
  const token = await operator.tokens.create({ name: 'Travel agent', action_ids: [action.id] })
  const agent = new NarrowAPI({ apiKey: token.token, baseUrl: narrow.url })
  const { callables } = await agent.x.manifest()
  equal(callables.length, 1)
  const inputs = Object.keys(Object(callables[0]?.input_schema).properties)
  ok(!inputs.includes('currency'), 'the agent sees the input that the operator fixed')
  narrator.done(`${token.prefix}…${token.last_four} runs ${callables[0]?.slug} and nothing else`)
  narrator.done(`inputs it may give: ${inputs.join(', ')}; the currency is not among them`)

  narrator.step('The agent pays')
  const paid = await agent.execute<Payment>(action.id, payment).withResponse()
  equal(paid.data.status, 'succeeded')
  equal(paid.data.currency, payForOneBooking.fixed_input.currency)
  narrator.done(`NarrowAPI put the secret in, and the upstream answered ${paid.response.status}:`)
  narrator.show({ status: paid.data.status, amount: paid.data.amount, currency: paid.data.currency })

  narrator.step('What does not fit is refused before the upstream hears of it, with the reason')
  const heardBefore = heardBy(stage)
  const malformed = { ...payment, card: { ...payment.card, number: 'my card' } }
  tellRefusal(narrator, await refusal(agent.execute(action.id, malformed), 'validation_failed'))
  const tooMuch = { ...payment, amount: 5000 }
  tellRefusal(narrator, await refusal(agent.execute(action.id, tooMuch), 'policy_denied'))
  const otherCurrency = { ...payment, currency: 'eur' }
  tellRefusal(narrator, await refusal(agent.execute(action.id, otherCurrency), 'validation_failed'))
  equal(heardBy(stage), heardBefore, 'a refused call reached the upstream')

  narrator.step('A dry run shows the request that would be sent, and sends nothing')
  const { allowed, request } = await agent.x.dryRun(action.id, payment)
  ok(allowed && request, 'the dry run of a good payment is not allowed')
  const authorization = request.headers.find(({ name }) => name === 'authorization')
  equal(authorization?.value, 'Bearer [redacted]')
  narrator.done(`${request.method} ${new URL(request.url).pathname}`)
  narrator.done(`authorization: ${authorization.value}`)
  narrator.show(request.body)

  narrator.step('The limit of the action is met, and the call retried')
  const limited = await refusal(agent.execute(action.id, payment), 'rate_limited')
  const wishMs = limited.retryAfterMs ?? 0
  ok(wishMs > 30_000 && wishMs <= 60_000, `the server asks to wait ${wishMs} ms`)
  narrator.refused(`${limited.status} ${limited.code}: ${limited.message}`)
  narrator.done('the SDK obeys Retry-After up to 30 seconds; a longer one it hands on at once, unshortened')
  await operator.actions.update(action.id, { rate_limit_rpm: 60 })
  narrator.done('rather than wait, the operator allows 60 a minute; every server knows within a second')
  await sleep(1000)
  // The same key, so that whatever became of the first attempt, one payment is made.
  const { idempotencyKey } = limited
  const retried = await agent.execute<Payment>(action.id, payment, { idempotencyKey })
  equal(retried.status, 'succeeded')
  narrator.done('the same call, with the same Idempotency-Key, goes through')

  narrator.step('Every run and every refusal was recorded: read page by page')
  const executions = operator.actions.listExecutions(action.id, { limit: 2 })
  let recorded = 0
  for await (const page of executions.pages()) {
    recorded += page.data.length
    for (const { id, status, error } of page.data) {
      narrator.done(`${id}  ${status}${error ? `  ${error.code}` : ''}`)
    }
    narrator.done(page.has_more ? 'and the next page:' : 'and that was the last page')
  }
  equal(heardBy(stage), 3, 'the upstream heard of more than one stranger and two payments')
  equal(recorded, 5, 'not everything was recorded, or more than happened')

  narrator.step('The secret is nowhere in what was printed or stored')
  await narrow.stop()
  ok(!holds(narrow.output(), upstreamSecret), 'the server printed the secret')
  narrator.done('not in what the server printed and logged, at its most talkative level')
  const control = await filesHolding(narrow.dataDir, action.id)
  ok(control.length > 0, 'the search finds nothing at all, so it proves nothing')
  for (const [what, text] of [
    ['the secret', upstreamSecret],
    ['the token', token.token],
    ['the owner key', narrow.ownerKey],
    ['the card number', payment.card.number],
  ] as const) {
    const files = await filesHolding(narrow.dataDir, text)
    equal(files.join(), '', `${what} is stored`)
    ok(!holds(narrator.told(), text), `${what} was shown here`)
  }
  narrator.done('not in any file of the data directory, in clear or encoded; nor are the token, key and card')
  narrator.done('not in this story')
}

const bookingId = '1725ff48-ab45-4bb5-9d02-88745177dedb'

/** As many as the story has made when it comes to the limit. */
const callsPerMinute = 4

const payForOneBooking = {
  name: 'Pay for one booking',
  slug: 'pay_for_one_booking',
  description: 'Pays for a train booking by card',
  method: 'POST',
  auth_type: 'bearer',
  input_schema: {
    type: 'object',
    properties: {
      booking_id: { type: 'string', format: 'uuid' },
      amount: { type: 'number', exclusiveMinimum: 0 },
      currency: { type: 'string' },
      card: {
        type: 'object',
        properties: {
          name: { type: 'string' },
          number: { type: 'string', pattern: '^[0-9]{12,19}$' },
          cvc: { type: 'integer', minimum: 0, maximum: 9999 },
          exp_month: { type: 'integer', minimum: 1, maximum: 12 },
          exp_year: { type: 'integer' },
          address_country: { type: 'string' },
        },
        required: ['name', 'number', 'cvc', 'exp_month', 'exp_year', 'address_country'],
        additionalProperties: false,
        'x-sensitive': true,
      },
    },
    required: ['booking_id', 'amount', 'currency', 'card'],
    additionalProperties: false,
  },
  fixed_input: { currency: 'gbp' },
  constraints: [{ path: '/amount', op: 'max', value: 200 }],
  body_template: { amount: '{{amount}}', currency: '{{currency}}', source: '{{card}}' },
  rate_limit_rpm: callsPerMinute,
} as const

const payment = {
  booking_id: bookingId,
  amount: 49.99,
  card: {
    name: 'Francis Bourgeois',
    number: '4242424242424242',
    cvc: 123,
    exp_month: 12,
    exp_year: 2030,
    address_country: 'gb',
  },
}

type Payment = { status: string; amount: number; currency: string }

/** How many requests the upstream has had. */
const heardBy = ({ trains }: Stage): number => trains.output().split('Request received').length - 1

/** The refusal with this code that a call must end in. */
const refusal = async (call: Promise<unknown>, code: ErrorCode): Promise<NarrowApiError> => {
  const thrown: unknown = await call.then(
    () => new Error('it was not refused'),
    (error: unknown) => error,
  )
  if (isNarrowError(thrown, code)) return thrown
  throw new Error(`A call that must be refused with ${code} was not`, { cause: thrown })
}

const tellRefusal = (narrator: Narrator, { status, code, message, details }: NarrowApiError): void => {
  const reasons = details.map(({ field, message: reason }) => `${field} ${reason}`)
  narrator.refused(`${status} ${code}: ${[message, ...reasons].join('; ')}`)
}

const main = async (): Promise<void> => {
  const narrator = createNarrator(process.stdout)
  const interrupted = interruption()
  narrator.title('NarrowAPI: one narrow door to any API')
  narrator.step('The parts start, each a process of its own')
  let stage: Stage | undefined
  try {
    // Waited for also when interrupted: what is half started could not be cleared away.
    stage = await setStage()
    await Promise.race([tellStory(stage, narrator), interrupted])
    narrator.ended(`The whole story, in ${(performance.now() / 1000).toFixed(1)} seconds.`)
  } catch (error) {
    narrator.failed(error)
    process.exitCode = 1
  } finally {
    await stage?.clear()
  }
}

/**
 * Fails at the first signal, and when nobody reads on. Later signals change nothing: clearing the stage takes
 * bounded time, and cutting it short would leave processes behind.
 */
const interruption = (): Promise<never> => {
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => reject(new Error(`Interrupted by ${signal}`)))
    }
    process.stdout.on('error', reject)
  })
  // It may come before anybody waits for it.
  interrupted.catch(() => undefined)
  return interrupted
}

await main()
