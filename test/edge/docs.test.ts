import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { contract, errorCodes, routesOf } from '@narrowapi/contract'
import express from 'express'
import { request } from 'undici'
import { afterAll, expect, test } from 'vitest'
import { mountDocs } from '../../server/src/edge/docs.ts'

const publicUrl = 'https://narrow.example/base'
const app = express()
mountDocs(app, { publicUrl: `${publicUrl}/` })
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
afterAll(() => server.close())

// A server that listens on TCP has an address of this shape.
const { port } = server.address() as AddressInfo
const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init)
const text = async (path: string) => (await get(path)).text()

test('serves the OpenAPI document with its own address, as JSON and as YAML', async () => {
  const document = JSON.parse(await text('/.well-known/openapi.json'))
  expect(document.servers).toMatchObject([{ url: publicUrl }])
  const example = document.components.responses.NotFoundError.content['application/json'].examples.not_found
  expect(example.value.doc_url).toBe(`${publicUrl}/docs/errors#not_found`)
  expect(await text('/.well-known/openapi.yaml')).toContain(`url: ${publicUrl}\n`)
})

test('tells agents about every operation and every error, at both addresses', async () => {
  const llms = await text('/llms.txt')
  expect(await text('/.well-known/llms.txt')).toBe(llms)
  for (const { route } of routesOf(contract)) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    expect(llms).toContain(`\`${route.method} ${path}\`: ${route.summary}`)
    if (route.metadata.scope) expect(llms).toContain(route.metadata.scope)
  }
  for (const code of Object.keys(errorCodes)) expect(llms).toContain(`\`${code}\``)
  expect(llms).toContain(`POST ${publicUrl}/x/{action_id}`)
})

test('has a place on the reference for every operation, and no link to a missing one', async () => {
  const page = await text('/docs')
  const places = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
  for (const { noun, name } of routesOf(contract)) expect(places).toContain(`${noun}_${name}`)
  const targets = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id)
  expect(targets.filter((id) => !places.has(id))).toEqual([])
})

test('explains every error where its doc_url leads', async () => {
  const page = await text('/docs/errors')
  for (const [code, { title }] of Object.entries(errorCodes)) {
    expect(page).toContain(`<dt id="${code}">`)
    expect(page).toContain(title)
  }
})

test.each(['/docs', '/docs/errors'])('%s works offline and allows no script', async (path) => {
  const answer = await get(path)
  const page = await answer.text()
  const policy = answer.headers.get('content-security-policy')
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toContain('unsafe')
  expect(policy).not.toContain('script-src')
  expect(page).not.toMatch(/<script|<style| style=| on\w+=/)
  const fetched = [...page.matchAll(/<link rel="stylesheet" href="([^"]+)"/g)].map(([, href]) => href ?? '')
  expect(fetched).toHaveLength(1)
  for (const href of fetched) {
    const sheet = await fetch(new URL(href, answer.url))
    expect(sheet.headers.get('content-type')).toContain('text/css')
    expect(await sheet.text()).not.toMatch(/url\(|@import/)
  }
})

test('answers 304 to whoever has the present text', async () => {
  // Not fetch: it asks caches for a new answer as soon as a condition is set by hand.
  const ask = (etag: string) =>
    request(`http://127.0.0.1:${port}/docs`, { headers: { 'if-none-match': etag } })
  const { headers, body } = await ask('"another"')
  await body.dump()
  expect((await ask(String(headers.etag))).statusCode).toBe(304)
})
