import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { stage } from '../stage.ts'
import { root } from '../workspaces.ts'
import { printEntry } from './markdown.ts'
import { readEntries } from './read.ts'

// Not committed: it repeats, line by line, comments that are. It goes beside the built packages, for a site.
const destination = join(root, 'dist/sdk-reference')
const folder = await mkdtemp(join(tmpdir(), 'narrowapi-reference-'))
try {
  await stage('sdk', folder)
  await rm(destination, { recursive: true, force: true })
  await mkdir(destination, { recursive: true })
  for (const entry of await readEntries(folder)) {
    const file = join(destination, `${entry.specifier.split('/').slice(2).join('-') || 'index'}.md`)
    await writeFile(file, printEntry(entry))
    process.stdout.write(`${relative(root, file)}\n`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
