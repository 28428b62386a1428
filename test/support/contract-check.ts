import type { ContractRoute } from '@narrowapi/contract'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { default as addFormats } from 'ajv-formats'
import { parseList } from 'structured-headers'
import { expect } from 'vitest'
import { z } from 'zod'
import type { Answer } from './send.ts'

/** Holds an answer against what the contract says of every answer of its route. */
export const expectAsPromised = (route: ContractRoute, answer: Answer): void => {
  expect(Object.keys(route.responses)).toContain(String(answer.status))
  expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  expectClosed(route, answer)
  if (answer.status >= 400) expectProblem(answer)
  // Probes of health are not counted, so there is no count to tell.
  if (route.metadata.auth !== 'none') expectLimits(answer)
}

/** What every refusal and failure has. */
export const expectProblem = ({ body, headers, status }: Answer): void => {
  const requestId = headers.get('x-request-id')
  expect(body).toMatchObject({
    error: headers.get('x-narrowapi-error'),
    message: expect.stringMatching(/^.{5,}$/),
    request_id: requestId,
    doc_url: expect.stringMatching(/^http.*#[a-z_]+$/),
  })
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  if (status === 401) expect(headers.get('www-authenticate')).toMatch(/^Bearer /)
  if (status === 429 || status === 503) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
}

/** The two fields of the IETF draft as structured fields (RFC 9651), and the older three beside them. */
const expectLimits = ({ headers }: Answer): void => {
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) =>
    Number(headers.get(`x-ratelimit-${name}`) ?? Number.NaN),
  )
  const [[policy, policyParameters] = ['', new Map()]] = parseList(headers.get('ratelimit-policy') ?? '')
  const [[name, parameters] = ['', new Map()]] = parseList(headers.get('ratelimit') ?? '')
  const [quota, window] = [policyParameters.get('q'), policyParameters.get('w')]
  const [left, seconds] = [parameters.get('r'), parameters.get('t')]
  expect(typeof name).toBe('string')
  expect(name).toBe(policy)
  expect([quota, window, left, seconds, limit, remaining, reset].every(Number.isInteger)).toBe(true)
  expect([quota, left]).toEqual([limit, remaining])
  expect(left).toBeLessThanOrEqual(Number(quota))
  expect(seconds).toBeLessThanOrEqual(Number(window))
  expect(Math.abs(Number(reset) - (Date.now() / 1000 + Number(seconds)))).toBeLessThan(5)
}

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
const validators = new Map<unknown, ValidateFunction>()

/** No property that the schema does not name, at any depth. */
const expectClosed = (route: ContractRoute, { status, text, body }: Answer): void => {
  const schema: unknown = route.responses[status]
  if (!(schema instanceof z.ZodType)) {
    expect(text).toBe('')
    return
  }
  // Zod writes the schema of an answer closed, as it should be here: `additionalProperties` is false.
  const validate =
    validators.get(schema) ?? ajv.compile(z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }))
  validators.set(schema, validate)
  validate(body)
  expect(validate.errors ?? []).toEqual([])
}
