import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port of loopback at which nobody listens now. */
export const freePort = async (): Promise<number> => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = holder.address()
  holder.close()
  await once(holder, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('A listening server has an address')
  return address.port
}
