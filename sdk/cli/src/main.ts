#!/usr/bin/env node
import process from 'node:process'
import { run } from './run.ts'

const { exitCode, stdout, stderr } = await run(process.argv.slice(2), process.env)
// Who closes a pipe, as `head` does, has read enough, and has not read all.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exitCode = 1
  if (error.code !== 'EPIPE') process.stderr.write(`narrowapi: cannot write to the output (${error.code})\n`)
})
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exitCode = exitCode
