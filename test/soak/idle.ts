import { connect, type Socket } from 'node:net'
import { startProduct } from '../bench/product.ts'
import { ask } from '../support/send.ts'
import { demand, type Figures, openFiles, residentMiB } from './figures.ts'

const wanted = 10_000
const atOnce = 200

/** Ten thousand connections that asked once and are silent since: what each costs, and what others notice. */
export const soakIdle = async (): Promise<Figures> => {
  const product = await startProduct()
  const sockets: Socket[] = []
  try {
    const list = () => ask(product.url, 'GET /api/v1/actions', { credential: product.ownerKey })
    const timed = async () => {
      const times: number[] = []
      for (let n = 0; n < 200; n += 1) {
        const startedAt = performance.now()
        demand((await list()).status === 200, 'A list failed')
        times.push(performance.now() - startedAt)
      }
      return times.toSorted((one, other) => one - other)[100] ?? Number.NaN
    }
    await timed()
    const [alone, before] = [await timed(), await residentMiB(product.pid)]
    const { hostname, port } = new URL(product.url)
    while (sockets.length < wanted) {
      const opened = Array.from({ length: atOnce }, () => open(hostname, Number(port)))
      sockets.push(...(await Promise.all(opened)))
    }
    const [among, after] = [await timed(), await residentMiB(product.pid)]
    const held = await openFiles(product.pid)
    demand(held > wanted, `Only ${held} files are open`)
    return {
      'idle connections': sockets.length,
      'open files of the server': held,
      'MiB before': before.toFixed(1),
      'MiB with them': after.toFixed(1),
      'KiB per connection': (((after - before) * 1_024) / wanted).toFixed(1),
      'median ms of a list, alone': alone.toFixed(2),
      'median ms of a list, among them': among.toFixed(2),
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    await product.stop()
  }
}

/** A connection that has had one answer, and stays. */
const open = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.once('error', reject)
    socket.once('data', () => resolve(socket))
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  })
