#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * The server's first module, which loads the others by what was compiled of them before: that halves their time.
 * What is kept is code, so it lies with the rest of it and not where other users may write. Where we may not
 * write either, nothing is kept and all works as before.
 */
enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/narrowapi/compiled', import.meta.url)))

await import('./run.ts')
