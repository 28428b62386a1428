type Action = { id: string; name: string; slug: string }

const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
  const response = await fetch(`http://127.0.0.1:3000/api/v1${path}`, {
    method,
    headers: { authorization: 'Bearer sk_…', 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(String(response.status))
  return response.status === 204 ? undefined : response.json()
}

const definition = { name: 'Refund', target_url: 'https://api.example.com/refunds' }
const created = (await call('POST', '/actions', definition)) as Action
const action = (await call('GET', `/actions/${created.id}`)) as Action
const names: string[] = [action.slug]
const page = (await call('GET', '/actions?status=active')) as { data: Action[] }
for (const { name } of page.data) names.push(name)
try {
  await call('PATCH', `/actions/${action.id}`, { status: 'paused' })
} catch (error) {
  names.push(String(error))
}
await call('DELETE', `/actions/${action.id}`)

export { names }
