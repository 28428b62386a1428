import { createServer } from 'node:http'
import express from 'express'
import postgres from 'postgres'
import { announce } from './processes.ts'

/** What a list is compared with: the route anyone would write first, on the same rows with the same driver. */
const [path = '', database = '', username = '', workspaceId = ''] = process.argv.slice(2)
const sql = postgres({ path, database, username, max: 10 })
const app = express()

app.get('/executions', async (_req, res) => {
  const data = await sql`
    select id, 'execution' as object, workspace_id, 'action' as kind, status, source, action_id, version, token_id,
      input, output, error, upstream, decision, started_at, completed_at, duration_ms, created_at, updated_at
    from narrowapi.executions
    where workspace_id = ${workspaceId}
    order by id desc
    limit 20`
  res.json({ object: 'list', data })
})

announce(createServer(app))
