import { randomBytes } from 'node:crypto'
import { createIds } from '../../server/src/ids.ts'
import type { Product } from './product.ts'
import { median, table } from './report.ts'

const pageSize = 100
/** So many pages at the beginning and at the end of the walk are compared. */
const compared = 200

/** G13: what the last pages of a long list cost over its first, walked by cursor as any client would. */
export const measureDepth = async (product: Product, isQuick: boolean): Promise<string[]> => {
  const rows = isQuick ? 60_000 : 1_000_000
  await product.sql`update plans set requests_per_minute = 100000000`
  const action = await fill(product, rows)
  const times: number[] = []
  let seen = 0
  let cursor: string | null = null
  do {
    const query = new URLSearchParams({ limit: String(pageSize), ...(cursor === null ? {} : { cursor }) })
    const startedAt = performance.now()
    const answer = await fetch(`${product.url}/api/v1/actions/${action}/executions?${query}`, {
      headers: { authorization: `Bearer ${product.ownerKey}` },
    })
    // The contract says so of every list.
    const page = (await answer.json()) as { data: unknown[]; next_cursor: string | null }
    times.push(performance.now() - startedAt)
    if (answer.status !== 200) return [`a page was answered with ${answer.status}`]
    seen += page.data.length
    cursor = page.next_cursor
  } while (cursor !== null)
  // The first pages warm the server up; a list is as long in its middle as at its end.
  const early = median(times.slice(compared / 2, compared * 1.5))
  const late = median(times.slice(-compared))
  const ratio = late / early
  process.stdout.write(
    `\nPages of ${pageSize} of ${rows} executions of one action\n\n${table([
      ['', 'ms a page', '× first', 'goal'],
      [`pages ${compared / 2} to ${compared * 1.5}`, early.toFixed(2), '1.00', ''],
      [
        `pages ${times.length - compared} to ${times.length}`,
        late.toFixed(2),
        ratio.toFixed(2),
        `G13 ≤ 2 (aim 1.2) ${ratio <= 1.2 ? 'reached' : ratio <= 2 ? 'met' : 'MISSED'}`,
      ],
    ])}\n`,
  )
  return seen === rows ? [] : [`the walk saw ${seen} rows of ${rows}`]
}

/** Rows as calls leave them, spread over the last hour by their ids. */
const fill = async ({ sql }: Product, rows: number): Promise<string> => {
  const [workspace] = await sql<{ id: string }[]>`select id from workspaces`
  let now = Date.now() - 3_600_000
  const ids = createIds(() => now, randomBytes)
  const action = ids.next('act')
  const batch = 10_000
  for (let made = 0; made < rows; made += batch) {
    now = Date.now() - 3_600_000 * (1 - made / rows)
    const names = Array.from({ length: Math.min(batch, rows - made) }, () => ids.next('exec'))
    const at = new Date(now).toISOString()
    await sql`
      insert into executions (workspace_id, id, action_id, version, status, source, input, output, created_at, updated_at)
      select ${workspace?.id ?? ''}, id, ${action}, 1, 'completed', 'proxy', '{"a":1}', '{"b":2}', ${at}, ${at}
      from unnest(${names}::text[]) as made (id)`
  }
  await sql`analyze executions`
  return action
}
