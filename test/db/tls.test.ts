import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSecureContext, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { answered } from '../../server/src/db/renewing-pool.ts'
import { connect, isUnavailable, type Pool } from '../../server/src/db/sql.ts'
import { createCertificate } from '../support/certificate.ts'

const secureContext = createSecureContext(createCertificate('localhost'))

let balancer: Server
let pool: Pool
/** The names that were asked for, one for each connection that came as far. */
let names: unknown[]
let connections: number
/** What is said to the first message of the driver, after which the connection ends. */
let answer: Buffer

/** Speaks TLS like PostgreSQL, with nothing behind it. */
beforeAll(async () => {
  balancer = createServer((socket) => {
    connections += 1
    socket.on('error', () => {})
    socket.once('data', () => secure(socket))
  }).listen(0, '127.0.0.1')
  await once(balancer, 'listening')
})

afterAll(() => {
  balancer.close()
})

beforeEach(() => {
  names = []
  connections = 0
  answer = Buffer.alloc(0)
})

const secure = (socket: Socket): void => {
  socket.write('S')
  const tls = new TLSSocket(socket, { isServer: true, secureContext })
  tls.on('error', () => {})
  tls.once('data', () => {
    // Known to a TLS socket of a server, and to no type.
    names.push(Reflect.get(tls, 'servername'))
    tls.end(answer)
  })
}

const open = (max: number): Pool => {
  const address = balancer.address()
  const port = typeof address === 'object' ? address?.port : 0
  return connect(`postgres://somebody@localhost:${port}/somewhere?sslmode=require`, 'narrowapi_app', { max })
}

const refusal = (): Buffer => {
  const fields = Buffer.from('SFATAL\0C28000\0Mnobody is known here\0\0')
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

test('asks for the host by name, by which a balancer finds the database', async () => {
  pool = open(1)
  answer = refusal()
  await expect(answered(pool, pool`select 1`)).rejects.toThrow('nobody is known here')
  expect(names).toEqual(['localhost'])
  await pool.end({ timeout: 0 })
})

test.each([1, 4])(
  'a balancer that speaks TLS with no database behind it fails %s statements at once, without a loop',
  async (statements) => {
    pool = open(statements)
    const asked = Array.from({ length: statements }, () => answered(pool, pool`select 1`))
    const outcomes = await Promise.allSettled(asked)
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ECONNRESET' } })
      expect(outcome.status === 'rejected' && isUnavailable(outcome.reason)).toBe(true)
    }
    await sleep(200)
    expect(connections).toBeLessThanOrEqual(2 * statements)
    connections = 0
    await expect(answered(pool, pool`select 1`)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(connections).toBeLessThanOrEqual(2)
    await pool.end({ timeout: 0 })
  },
)
