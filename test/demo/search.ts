import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** The files below a folder that hold a text in any form a program might write it in. */
export const filesHolding = async (folder: string, text: string): Promise<string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const found: string[] = []
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    if (holds(await readFile(path), text)) found.push(relative(folder, path))
  }
  return found
}

export const holds = (where: Buffer | string, text: string): boolean =>
  formsOf(text).some((form) => where.includes(form))

const formsOf = (text: string): string[] => [
  text,
  encodeURIComponent(text),
  Buffer.from(text).toString('hex'),
  ...[0, 1, 2].map((offset) => base64Within(text, offset)),
]

/** How a text looks in the base64 of something longer: only whole groups, which its neighbours cannot change. */
const base64Within = (text: string, offset: number): string => {
  const whole = Buffer.from(text).subarray((3 - offset) % 3)
  return whole.subarray(0, whole.length - (whole.length % 3)).toString('base64')
}
