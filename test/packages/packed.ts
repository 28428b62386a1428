import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { pack } from '../../sdk/release/pack.ts'
import type { Published } from '../../sdk/release/workspaces.ts'
import { once } from '../support/once.ts'

/** The tarballs that would be published, made once a run. */
export const packed = (): Promise<Record<Published, string>> =>
  once(inject('runFolder'), 'packed', () => pack(join(inject('runFolder'), 'packed')))

/** A new project in a folder of its own, with packages installed as anybody would, from their tarballs alone. */
export const startProject = async (...packages: Published[]): Promise<string> => {
  const folder = await mkdtemp(join(inject('runFolder'), 'project-'))
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  const tarballs = await packed()
  await promisify(execFile)(
    'npm',
    [
      'install',
      '--prefix',
      folder,
      '--offline',
      '--no-audit',
      '--no-fund',
      ...packages.map((name) => tarballs[name]),
    ],
    { cwd: folder },
  )
  return folder
}
