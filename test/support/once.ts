import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Does a piece of work once for all processes that ask for it with the same folder, and gives its result, which is
 * kept there as JSON. The others wait. When it fails, the next one tries.
 */
export const once = async <Result>(
  folder: string,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> => {
  const result = join(folder, `${name}.json`)
  const lock = join(folder, `${name}.lock`)
  await mkdir(folder, { recursive: true })
  for (;;) {
    const kept = await readFile(result, 'utf8').catch(() => undefined)
    if (kept !== undefined) return JSON.parse(kept)
    if (
      await mkdir(lock).then(
        () => true,
        () => false,
      )
    )
      break
    await sleep(50)
  }
  try {
    const value = await work()
    await writeFile(`${result}.part`, JSON.stringify(value))
    await rename(`${result}.part`, result)
    return value
  } finally {
    await rm(lock, { recursive: true })
  }
}
