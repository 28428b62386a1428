/**
 * Typed handlers for msw 3 (Node 22.12 or later), made from the same route table and types as the client:
 * `setupServer(...handlers({ 'actions.list': list([]) }))`. They match on any host unless given a `baseUrl`.
 */
import { type HttpHandler, HttpResponse, http } from 'msw'
import type { ErrorDetail } from '../errors.ts'
import type { Operations } from '../generated/client.ts'
import { type ErrorCode, errorStatuses } from '../generated/errors.ts'
import { routes } from '../generated/routes.ts'
import type { Page, Route, Routes } from '../types.ts'

/** For example `actions.create`. */
export type OperationName = {
  [Noun in keyof Operations]: `${Noun}.${keyof Operations[Noun] & string}`
}[keyof Operations]

/** What a mocked operation may answer: its data, or a whole response such as `apiError(...)`. */
export type MockAnswer<Name extends OperationName> = AnswerBody<Awaited<ReturnType<Method<Name>>>> | Response

export interface MockedCall<Name extends OperationName> {
  readonly request: Request
  /** The path parameters by name. */
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  /** The parsed body; undefined for operations that take none. */
  readonly body: BodyOf<Name>
}

export type MockResolver<Name extends OperationName> = (
  call: MockedCall<Name>,
) => MockAnswer<Name> | Promise<MockAnswer<Name>>

export interface MockOptions {
  /** Match this server only. Default: any. */
  baseUrl?: string
}

/** One msw handler for one operation; `answer` is given every time, or computed from each call. */
export const mock = <Name extends OperationName>(
  operation: Name,
  answer: MockAnswer<Name> | MockResolver<Name>,
  { baseUrl = '*' }: MockOptions = {},
): HttpHandler => {
  const { method, path } = routeOf(operation)
  const pattern = `${baseUrl.replace(/\/+$/, '')}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`
  // True because the table's methods are those of HTTP, and msw has a function for each.
  return http[method.toLowerCase() as 'get'](pattern, async ({ request, params }) => {
    // No operation's data is a function, so a function is a resolver.
    const resolve = (typeof answer === 'function' ? answer : () => answer) as MockResolver<Name>
    const query = Object.fromEntries(new URL(request.url).searchParams)
    const text = await request.clone().text()
    // The client under test was typed by the same contract, so what it sends has the operation's shape.
    const body = (text === '' ? undefined : JSON.parse(text)) as BodyOf<Name>
    return toResponse(await resolve({ request, params: params as Record<string, string>, query, body }))
  })
}

/** Handlers for several operations at once. */
export const handlers = (
  answers: { [Name in OperationName]?: MockAnswer<Name> | MockResolver<Name> },
  options?: MockOptions,
): HttpHandler[] =>
  // Keys of the parameter are operation names and each value belongs to its key, which entries() forgets.
  // Sorted by path, because `{` comes after every letter: fixed segments are tried before parameters.
  (Object.entries(answers) as [OperationName, MockResolver<OperationName>][])
    .sort(([a], [b]) => (routeOf(a).path < routeOf(b).path ? -1 : 1))
    .map(([operation, answer]) => mock(operation, answer, options))

/** A page of a list, the last one unless given the cursor of the next. */
export const list = <T>(data: T[], nextCursor: string | null = null): PageBody<T> => ({
  object: 'list',
  data,
  has_more: nextCursor !== null,
  next_cursor: nextCursor,
})

export interface ErrorFields {
  message?: string
  details?: readonly ErrorDetail[]
  /** Also sent as `Retry-After`. */
  retry_after_seconds?: number
  [field: string]: unknown
}

/** The response NarrowAPI would send for this code, headers included. */
export const apiError = (code: ErrorCode, fields: ErrorFields = {}): Response => {
  const headers: Record<string, string> = { 'x-narrowapi-error': code, 'x-request-id': 'req_mock' }
  if (fields.retry_after_seconds !== undefined) headers['retry-after'] = String(fields.retry_after_seconds)
  const body = { error: code, message: `Mocked ${code}`, request_id: 'req_mock', ...fields }
  return Response.json(body, { status: errorStatuses[code], headers })
}

/** What a server sends for a page: everything but the method the client adds. */
export type PageBody<T> = Omit<Page<T>, 'nextPage'>

type Method<Name extends OperationName> = Name extends `${infer Noun extends keyof Operations}.${infer Verb}`
  ? Verb extends keyof Operations[Noun]
    ? Operations[Noun][Verb] extends (...args: infer Args) => infer Result
      ? (...args: Args) => Result
      : never
    : never
  : never

type AnswerBody<Data> = Data extends Page<infer Item> ? PageBody<Item> : Data

/** The argument after the path parameters, where the route has a body. */
type BodyOf<Name extends OperationName> =
  Name extends `${infer Noun extends keyof typeof routes}.${infer Verb}`
    ? Verb extends keyof (typeof routes)[Noun]
      ? (typeof routes)[Noun][Verb] extends { body: true }
        ? FirstAfterPath<Parameters<Method<Name>>>
        : undefined
      : never
    : never

type FirstAfterPath<Args extends readonly unknown[]> = Args extends [string | number, ...infer Rest]
  ? FirstAfterPath<Rest>
  : NonNullable<Args[0]>

const routeOf = (operation: string): Route => {
  const [noun = '', verb = ''] = operation.split('.')
  const route = (routes as Routes)[noun]?.[verb]
  if (!route) throw new Error(`There is no operation ${operation}`)
  return route
}

/** A response is used once, and msw may need the same one again. */
const toResponse = (answer: unknown): Response => {
  if (answer instanceof Response) return answer.clone()
  if (answer === undefined) return new HttpResponse(null, { status: 204 })
  return Response.json(answer)
}
