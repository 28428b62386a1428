import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Manifest } from './manifest.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The folders whose packages are published. */
export const published = ['sdk', 'sdk/cli', 'openapi'] as const

export type Published = (typeof published)[number]

export const readManifest = async (workspace: Published): Promise<Manifest> =>
  JSON.parse(await readFile(join(root, workspace, 'package.json'), 'utf8'))

/** Packages without a `publishConfig.directory` are published as they stand in the repository. */
export const isBuilt = ({ publishConfig }: Manifest): boolean => publishConfig?.directory !== undefined
