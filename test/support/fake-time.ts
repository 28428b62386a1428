import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { inject } from 'vitest'
import { unpacked } from './debian.ts'
import { once } from './once.ts'

const library = '{usr/,}lib/*/faketime/libfaketimeMT.so.1'

/**
 * The environment in which a program's wall clock is off, by faketime's notation (`-5m`, `+40d`), read from a
 * file again and again, so that it can be made to jump. Its monotonic clock is the real one, as on a machine whose
 * time was set wrong.
 */
export const fakeTime = async (file: string): Promise<Record<string, string>> => ({
  LD_PRELOAD: await libraryPath(),
  FAKETIME_TIMESTAMP_FILE: file,
  FAKETIME_NO_CACHE: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  DONT_FAKE_MONOTONIC: '1',
})

const libraryPath = async (): Promise<string> => {
  const installed = await firstIn('/')
  if (installed !== undefined) return installed
  const root = await once(inject('runFolder'), 'debian-faketime', () => unpacked('faketime'))
  const fetched = await firstIn(root)
  if (fetched === undefined) throw new Error('The package faketime has no library')
  return fetched
}

const firstIn = async (root: string): Promise<string | undefined> => {
  for await (const path of glob(library, { cwd: root })) return join(root, path)
  return undefined
}
