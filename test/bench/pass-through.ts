import { Agent, createServer } from 'node:http'
import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { createProxyMiddleware as createProxyMiddleware3 } from 'http-proxy-middleware-3'
import { announce } from './processes.ts'

/**
 * What the hot path is compared with: Express and http-proxy-middleware forwarding and doing nothing else. It
 * keeps connections to the upstream alive, as anyone who cares for speed would tell it to. Version 4 is the baseline;
 * version 3, which is still maintained and stands on another proxy underneath, is there because performance.md's
 * goals were measured against a baseline of its speed.
 */
const [target = '', version = '4'] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })
const app = express()
app.use(
  version === '3' ? createProxyMiddleware3({ target, agent }) : createProxyMiddleware({ target, agent }),
)

announce(createServer(app))
