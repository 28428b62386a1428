/**
 * A server reduced to its database, to be killed by tests: `node serve-embedded.ts <module> <data folder>`
 * says `ready` or `refused` in one line of JSON and stays until it is killed. The module is an argument,
 * because some tests install it elsewhere.
 */
const [module = '', dataDir = ''] = process.argv.slice(2)
const { startEmbedded }: typeof import('../../server/src/db/embedded.ts') = await import(module)
const say = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`)

// A server stops its database in its own time after Ctrl-C; this one never does.
process.on('SIGINT', () => {})
try {
  const { connection } = await startEmbedded({ dataDir })
  say({ event: 'ready', connection })
} catch (error) {
  say({ event: 'refused', message: error instanceof Error ? error.message : String(error) })
  process.exitCode = 1
}
