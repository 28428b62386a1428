import { afterAll } from 'vitest'
import { startTestServer, type TestServer } from './server.ts'
import { startUpstream, type Upstream } from './upstream.ts'

/** The server of a test file and an upstream for its actions, which end with the file. */
export const serverAndUpstream = async (
  options: Parameters<typeof startTestServer>[0] = {},
): Promise<{ server: TestServer; upstream: Upstream }> => {
  const server = await startTestServer(options)
  const upstream = await startUpstream()
  afterAll(async () => {
    await server.stop()
    await upstream.stop()
  })
  return { server, upstream }
}
