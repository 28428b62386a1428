import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stage } from './stage.ts'
import { isBuilt, type Published, published, readManifest, root } from './workspaces.ts'

/** Packs what would be published of the sources as they are; gives the path of each tarball. */
export const pack = async (destination: string): Promise<Record<Published, string>> => {
  await mkdir(destination, { recursive: true })
  const staging = await mkdtemp(join(tmpdir(), 'narrowapi-pack-'))
  const packOne = async (workspace: Published) => {
    let folder = join(root, workspace)
    if (isBuilt(await readManifest(workspace))) {
      folder = join(staging, workspace.replace('/', '-'))
      await stage(workspace, folder)
    }
    const { stdout } = await promisify(execFile)(
      'npm',
      ['pack', folder, '--json', '--ignore-scripts', '--pack-destination', destination],
      { cwd: staging },
    )
    return [workspace, join(destination, fileNameIn(stdout))]
  }
  try {
    // True because there is one pair for each workspace.
    return Object.fromEntries(await Promise.all(published.map(packOne))) as Record<Published, string>
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

const fileNameIn = (report: string): string => {
  const [packed] = JSON.parse(report) as { filename: string }[]
  if (!packed) throw new Error('npm packed nothing')
  return packed.filename
}

if (import.meta.main)
  for (const tarball of Object.values(await pack(process.argv[2] ?? join(root, 'dist'))))
    process.stdout.write(`${tarball}\n`)
