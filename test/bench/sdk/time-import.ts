const [url = ''] = process.argv.slice(2)
const startedAt = performance.now()
await import(url)
process.stdout.write(String(performance.now() - startedAt))
