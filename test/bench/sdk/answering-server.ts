import { createServer } from 'node:http'
import { announce } from '../processes.ts'
import { listPage } from './workload.ts'

/** Answers every request with the same page. In a process of its own, so that its work is not the client's. */
const page = Buffer.from(listPage)

announce(
  createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': page.length })
    response.end(page)
  }),
)
