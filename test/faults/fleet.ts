import type { TestCluster } from '../support/cluster.ts'
import { ownerOf, type ServerProcess, startProcess } from '../support/server-process.ts'
import type { Upstream } from '../support/upstream.ts'

/** Several servers on one database, any of which may be killed and is then started anew. */
export class Fleet {
  readonly #environment: Record<string, string>
  readonly #servers: ServerProcess[] = []

  private constructor(environment: Record<string, string>) {
    this.#environment = environment
  }

  static async start(
    size: number,
    cluster: TestCluster,
    environment: Record<string, string> = {},
  ): Promise<Fleet> {
    const fleet = new Fleet({ DATABASE_URL: cluster.url(), LOG_LEVEL: 'warn', ...environment })
    // The first makes the installation, and prints the owner key.
    for (let count = 0; count < size; count += 1) await fleet.#add()
    return fleet
  }

  get running(): readonly ServerProcess[] {
    return this.#servers
  }

  /** SIGKILL, and a new one in its place; callers see it gone meanwhile. */
  async kill(index: number): Promise<void> {
    const [victim] = this.#servers.splice(index, 1)
    await victim?.stop('SIGKILL')
    await this.#add()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop('SIGKILL')))
  }

  async #add(): Promise<void> {
    this.#servers.push(await startProcess({ environment: this.#environment }))
  }
}

/** An action of the upstream that names the call in its path, and a token for it. */
export const makeCallable = async (server: ServerProcess, upstream: Upstream) => {
  const narrow = ownerOf(server)
  const { id } = await narrow.actions.create({
    name: 'Numbered',
    target_url: `${upstream.url}/{n}`,
    input_schema: [{ name: 'n', type: 'integer', required: true }],
    rate_limit_rpm: 1_000_000,
    timeout_ms: 1_000,
  })
  const { token } = await narrow.tokens.create({ name: 'bot', action_ids: [id] })
  return { action: id, token }
}
