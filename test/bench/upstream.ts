import { createServer } from 'node:http'
import { announce } from './processes.ts'
import { upstreamAnswer } from './workload.ts'

/** The upstream that everything here calls: reads the whole request, answers the same bytes, counts. */
let served = 0
const answer = Buffer.from(upstreamAnswer)

const server = createServer((req, res) => {
  if (req.url === '/served') {
    res.end(String(served))
    return
  }
  req.resume()
  req.on('end', () => {
    served += 1
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    res.end(answer)
  })
})

announce(server)
