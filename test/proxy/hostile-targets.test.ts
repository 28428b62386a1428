import { afterAll, beforeAll, expect, test } from 'vitest'
import { hostileUrls } from '../support/hostile-urls.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({ environment: { NARROWAPI_EGRESS_ALLOW: '' } })
})

afterAll(() => server.stop())

const send = async (method: 'POST' | 'PATCH', path: string, body: unknown) => {
  const response = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${server.owner.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

const actionWith = (target_url: string) => ({
  name: 'Target',
  status: 'draft',
  method: 'GET',
  target_url,
  input_schema: ['charge_id', 'expand'].map((name) => ({ name, type: 'string', required: true })),
})

const urlsOf = (stage: string) => hostileUrls.filter((entry) => entry.stage === stage).map(({ url }) => url)

test('no hostile target is stored, neither by creating an action nor by changing one', async () => {
  const { narrow } = server.owner
  const good = await narrow.actions.create({ name: 'Good', target_url: 'https://api.example.com/v1' })
  const stored: string[] = []
  for (const url of urlsOf('create')) {
    for (const answer of [
      await send('POST', '/api/v1/actions', actionWith(url)),
      await send('PATCH', `/api/v1/actions/${good.id}`, { target_url: url }),
    ]) {
      const named = answer.body.details?.some((detail: { field: string }) =>
        detail.field.startsWith('target_url'),
      )
      // Text that no JSON string may hold is refused before anybody looks at the URL.
      const isRefused =
        (answer.status === 422 && named) || (answer.status === 400 && answer.body.error === 'invalid_request')
      if (!isRefused)
        stored.push(`${answer.status} ${JSON.stringify(url)} ${JSON.stringify(answer.body.details)}`)
      expect(answer.body.message).not.toMatch(/169\.254|127\.0\.0\.1|::1/)
    }
  }
  expect(stored).toEqual([])
  expect((await narrow.actions.get(good.id)).target_url).toBe('https://api.example.com/v1')
  expect((await narrow.actions.list()).data).toHaveLength(1)
})

test('targets whose text is innocent are stored', async () => {
  for (const url of [...urlsOf('allow'), ...urlsOf('connect')]) {
    const { status, body } = await send('POST', '/api/v1/actions', actionWith(url))
    expect({ url, status, details: body.details }).toEqual({ url, status: 201, details: undefined })
  }
})

test('an allow-list of the workspace refuses every other host, public or not', async () => {
  const { narrow, workspaceId } = await server.newWorkspace()
  await narrow.workspaces.update(workspaceId, {
    settings: { allowed_hosts: ['API.example.com.', '*.example.org', 'b\u00fccher.example'] },
  })
  const create = (target_url: string) => narrow.actions.create({ name: 'Listed', target_url })
  await create('https://api.example.com/v1')
  await create('https://api.EXAMPLE.com./v1')
  await create('https://deep.example.org/')
  await create('https://xn--bcher-kva.example/')
  for (const url of ['https://example.com/', 'https://example.org/', 'https://api.example.com.evil.test/']) {
    await expect(create(url)).rejects.toMatchObject({ code: 'validation_failed' })
  }
})
