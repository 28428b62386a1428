import { fileURLToPath } from 'node:url'
import { contract, routesOf } from '@narrowapi/contract'
import { type Middleware, NarrowAPI } from '@narrowapi/sdk'
import { expect, test } from 'vitest'
import { story } from '../e2e/story.ts'
import { startPrismProxy } from '../support/prism.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { json, startUpstream } from '../support/upstream.ts'

const description = fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url))

const { server, upstream } = await serverAndUpstream()

test('the story touches every operation of the document', async () => {
  const touched = new Set<string>()
  await tell(server.url, async (request, next, { operation }) => {
    touched.add(operation)
    return next(request)
  })
  expect([...touched].sort()).toEqual(
    routesOf(contract)
      .map(({ noun, name }) => `${noun}.${name}`)
      .sort(),
  )
})

test('every request and every answer of the story fits the document', async () => {
  await tellThroughPrism(server.url)
})

test('an answer that the document does not describe makes the story fail', async () => {
  const liar = await startUpstream()
  liar.answer = json(200, { status: 'splendid' })
  await expect(tellThroughPrism(liar.url)).rejects.toThrow('health.live')
  await liar.stop()
})

/** In a workspace of its own, through whatever answers at the URL. */
const tell = async (baseUrl: string, middleware: Middleware): Promise<void> => {
  const { key, workspaceId } = await server.newWorkspace()
  upstream.received.length = 0
  const as = (apiKey: string) => new NarrowAPI({ apiKey, baseUrl, retries: 0, middleware: [middleware] })
  await story({ as, ownerKey: key, workspaceId, upstream })
}

const tellThroughPrism = async (url: string): Promise<void> => {
  const prism = await startPrismProxy(description, url)
  try {
    await tell(prism.url, noViolations)
  } finally {
    await prism.stop()
  }
}

/** Prism answers in place of the server where something does not fit, and lists in a header what it only minds. */
const noViolations: Middleware = async (request, next, { operation }) => {
  const response = await next(request)
  const violations = response.headers.get('sl-violations')
  if (violations)
    throw new Error(`${operation} was answered ${response.status} with violations: ${violations}`)
  return response
}
