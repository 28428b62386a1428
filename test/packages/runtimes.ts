import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { once } from '../support/once.ts'

const folder = fileURLToPath(new URL('runtimes', import.meta.url))

/** Programs that npm has for this machine beside the project's own Node. */
export const programs = {
  node20: join(folder, 'node_modules/node-20/bin/node'),
  node22: join(folder, 'node_modules/node-22/bin/node'),
  node24: process.execPath,
  bun: join(folder, 'node_modules/@oven/bun-linux-x64-baseline/bin/bun'),
  deno: join(folder, 'node_modules/@deno/linux-x64-glibc/deno'),
}

/**
 * They are no dependencies of a workspace, because packages with a command called node would put it in the place of
 * the project's. So they are installed, from a lock file too, when a test first needs them.
 */
export const installPrograms = (): Promise<void> =>
  once(inject('runFolder'), 'runtimes', async () => {
    const installed = await timeOf('node_modules/.package-lock.json')
    if (installed > (await timeOf('package-lock.json'))) return null
    await promisify(execFile)('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund'], { cwd: folder })
    return null
  }).then(() => undefined)

const timeOf = (name: string): Promise<number> =>
  stat(join(folder, name)).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
