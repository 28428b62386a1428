import { isNarrowError, NarrowAPI } from '@narrowapi/sdk'

const narrow = new NarrowAPI('sk_…')
const created = await narrow.actions.create({ name: 'Refund', target_url: 'https://api.example.com/refunds' })
const action = await narrow.actions.get(created.id)
const names: string[] = [action.slug]
for await (const { name } of narrow.actions.list({ status: 'active' })) names.push(name)
try {
  await narrow.actions.update(action.id, { status: 'paused' })
} catch (error) {
  if (isNarrowError(error, 'version_conflict')) names.push(error.requestId ?? '')
}
await narrow.actions.delete(action.id)

export { names }
