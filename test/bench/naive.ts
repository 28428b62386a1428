import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { Ajv2020 } from 'ajv/dist/2020.js'
import express from 'express'
import postgres from 'postgres'
import { z } from 'zod'
import { announce } from './processes.ts'
import { type input, inputSchema } from './workload.ts'

/**
 * The same work written straight down, as one would on the first day: Express, a query for the token and one for
 * the action, ajv, `fetch`, and a row inserted before the answer. Beside it, on `/tokens`, the route one would write
 * to create something. Its tables are its own.
 */
const [path = '', database = '', username = '', target = '', token = ''] = process.argv.slice(2)
const sql = postgres({ path, database, username, max: 10, onnotice: () => {} })
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

await sql.unsafe(`
  drop schema if exists plain cascade;
  create schema plain;
  create table plain.tokens (id uuid primary key default gen_random_uuid(), hash text not null unique, name text,
    created_at timestamptz not null default now());
  create table plain.actions (id text primary key, token_hash text not null, secret text not null);
  create table plain.executions (id uuid primary key default gen_random_uuid(), action_id text not null, input json,
    output json, status int, created_at timestamptz not null default now());
  create index on plain.executions (action_id, created_at desc);
  create table plain.audit (id uuid primary key default gen_random_uuid(), what text, target uuid,
    created_at timestamptz not null default now());
`)
await sql`insert into plain.tokens (hash, name) values (${hashOf(token)}, 'bench')`
await sql`insert into plain.actions (id, token_hash, secret) values ('refund', ${hashOf(token)}, 'upstream-secret')`

const validate = new Ajv2020().compile<typeof input>(inputSchema)
const calls = new Map<string, { since: number; count: number }>()
const app = express()
app.use(express.json())

app.post('/x/:id', async (req, res) => {
  const hash = hashOf(String(req.headers.authorization).slice('Bearer '.length))
  const [known] = await sql`select id from plain.tokens where hash = ${hash}`
  const [action] = await sql`
    select id, secret from plain.actions where id = ${req.params.id} and token_hash = ${hash}`
  if (!known || !action) return res.status(401).json({ error: 'unauthorized' })
  const window = calls.get(hash)
  if (!window || Date.now() - window.since > 60_000) calls.set(hash, { since: Date.now(), count: 1 })
  else {
    window.count += 1
    if (window.count > 1_000_000) return res.status(429).json({ error: 'rate_limited' })
  }
  const sent: unknown = req.body
  if (!validate(sent) || sent.amount > 5000) return res.status(422).json({ error: 'validation_failed' })
  const { charge_id, ...body } = sent
  const answer = await fetch(`${target}/charges/${encodeURIComponent(charge_id)}/refund`, {
    method: 'POST',
    headers: { authorization: `Bearer ${action.secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const output = await answer.json()
  await sql`
    insert into plain.executions (action_id, input, output, status)
    values (${action.id}, ${sql.json(sent)}, ${sql.json(output)}, ${answer.status})`
  return res.status(answer.status).json(output)
})

const CreateToken = z.strictObject({
  name: z.string().min(1).max(255),
  action_ids: z.array(z.string()).min(1),
})

app.post('/tokens', async (req, res) => {
  const parsed = CreateToken.safeParse(req.body)
  if (!parsed.success) return res.status(422).json({ error: 'validation_failed' })
  const created = await sql.begin(async (transaction) => {
    const text = hashOf(String(Math.random()))
    const [row] = await transaction`
      insert into plain.tokens (hash, name) values (${hashOf(text)}, ${parsed.data.name}) returning id, name, created_at`
    await transaction`insert into plain.audit (what, target) values ('token.created', ${row?.id})`
    return { ...row, token: text }
  })
  return res.status(201).json(created)
})

app.get('/recorded', async (_req, res) => {
  const [row] = await sql`select count(*)::int as count from plain.executions where status = 200`
  res.json(row)
})

announce(createServer(app))
