import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

type Place = { host: string; port: number; exclusive?: boolean }

/** Listens, or says which variable of the environment names what cannot be listened on. */
export const listen = async (
  server: Server,
  place: Place,
  variables: { host: string; port: string },
): Promise<AddressInfo> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const variable = ofPorts.has(cause.code ?? '') ? variables.port : variables.host
      reject(new Error(`The environment is not usable:\n  ${variable}: cannot be listened on`, { cause }))
    })
    server.listen(place, resolve)
  })
  // A server that listens on a port has an AddressInfo.
  return server.address() as AddressInfo
}

/** Taken, or not for this user. What else fails is about the address. */
const ofPorts: ReadonlySet<string> = new Set(['EADDRINUSE', 'EACCES'])
