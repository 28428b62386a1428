import { Agent, createServer } from 'node:http'
import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { announce } from './processes.ts'

/**
 * What the hot path is compared with: Express and http-proxy-middleware forwarding and doing nothing else. It
 * keeps connections to the upstream alive, as anyone who cares for speed would tell it to.
 */
const [target = ''] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })
const app = express()
app.use(createProxyMiddleware({ target, agent }))

announce(createServer(app))
