import { join } from 'node:path'
import { stage } from './stage.ts'
import { isBuilt, published, readManifest, root } from './workspaces.ts'

// Each package into the folder from which changesets publishes it.
for (const workspace of published) {
  const manifest = await readManifest(workspace)
  if (isBuilt(manifest)) await stage(workspace, join(root, workspace, 'dist'))
}
