import { createRequire } from 'node:module'

/** Preloaded by a test: at the end, a line that names every module of OpenTelemetry that was loaded. */
process.on('exit', () => {
  const files = Object.keys(createRequire(import.meta.url).cache)
  const packages = files.flatMap((file) => /@opentelemetry\/([a-z-]+)/.exec(file)?.[1] ?? [])
  process.stdout.write(`loaded: ${[...new Set(packages)].sort().join(' ')}\n`)
})
