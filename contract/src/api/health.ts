import { z } from 'zod'
import { group } from '../route.ts'

export const Health = z
  .object({ status: z.enum(['ok']).describe('Always `ok`; anything else is an error') })
  .meta({ id: 'Health', description: 'It answers', examples: [{ status: 'ok' }] })

const open = { scope: null, audit: null, auth: 'none' } as const

export const health = group('', {
  live: {
    method: 'GET',
    path: '/healthz',
    summary: 'Is the process alive?',
    description: 'Answers as long as the process serves requests; looks at nothing else.',
    responses: { 200: Health },
    metadata: open,
  },
  ready: {
    method: 'GET',
    path: '/readyz',
    summary: 'Can it take work?',
    description:
      'Asks the database, for two seconds at most; `unavailable` while it stops or cannot reach it.',
    responses: { 200: Health },
    metadata: open,
  },
})
