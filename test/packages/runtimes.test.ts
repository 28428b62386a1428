import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Miniflare } from 'miniflare'
import { chromium } from 'playwright-core'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { debianProgram } from '../support/debian.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { startProject } from './packed.ts'
import { startRoughWay } from './rough-way.ts'
import { installPrograms, programs } from './runtimes.ts'
import { expected } from './scenario.ts'

type Options = { apiKey: string; baseUrl: string }

// Seven runtimes start at the same time, and Chromium may have to be fetched.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let server: TestServer
/** A project that has the packed package from its tarball, and the scenario as JavaScript. */
let project: string

beforeAll(async () => {
  server = await startTestServer()
  project = await startProject('sdk')
  const source = await readFile(new URL('scenario.ts', import.meta.url), 'utf8')
  await Promise.all([
    installPrograms(),
    writeFile(join(project, 'scenario.js'), stripTypeScriptTypes(source)),
    writeFile(join(project, 'main.js'), main),
    writeFile(join(project, 'main-over-node.js'), mainOverNode),
    writeFile(join(project, 'worker.js'), worker),
    page().then((html) => writeFile(join(project, 'page.html'), html)),
  ])
})

afterAll(() => server.stop())

/** Runs the scenario in a workspace of its own, over a rough way to the real server. */
const tried = async (runtime: (options: Options) => Promise<unknown>): Promise<unknown> => {
  const { key } = await server.newWorkspace()
  const way = await startRoughWay(server.url, project)
  try {
    return await runtime({ apiKey: key, baseUrl: way.url })
  } finally {
    await way.stop()
  }
}

// The client reads the key and the address from the environment.
const main = `
import { scenario } from './scenario.js'
console.log(JSON.stringify(await scenario({})))
`

const mainOverNode = `
import { createNodeFetch } from '@narrowapi/sdk/node'
import { scenario } from './scenario.js'
console.log(JSON.stringify(await scenario({ fetch: createNodeFetch() })))
`

const run = async (program: string, args: string[], { apiKey, baseUrl }: Options) => {
  const { stdout } = await promisify(execFile)(program, args, {
    cwd: project,
    env: { HOME: project, NARROWAPI_API_KEY: apiKey, NARROWAPI_BASE_URL: baseUrl },
  })
  return JSON.parse(stdout)
}

const inNode = ['node20', 'node22', 'node24', 'bun'] as const

test.concurrent.each(inNode)('works in %s', async (name) => {
  expect(await tried((options) => run(programs[name], ['main.js'], options))).toEqual(expected)
})

test.concurrent.each(inNode)('works in %s over node:http', async (name) => {
  expect(await tried((options) => run(programs[name], ['main-over-node.js'], options))).toEqual(expected)
})

// It is given the network and the environment, and nothing else.
const inDeno = ['run', '--no-prompt', '--cached-only', '--allow-net', '--allow-env']

test.concurrent.each(['main.js', 'main-over-node.js'])('works in Deno: %s', async (file) => {
  expect(await tried((options) => run(programs.deno, [...inDeno, file], options))).toEqual(expected)
})

const worker = `
import { scenario } from './scenario.js'
export default {
  fetch: async (request) => Response.json(await scenario(await request.json())),
}
`

test.concurrent('works in workerd, bundled', async () => {
  const bundle = await rolldown({ input: join(project, 'worker.js'), platform: 'browser' })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  const flare = new Miniflare({ modules: true, script: output[0].code, compatibilityDate: '2026-07-01' })
  try {
    const answer = await tried(async (options) => {
      const response = await flare.dispatchFetch('http://worker.test', {
        method: 'POST',
        body: JSON.stringify(options),
      })
      return response.json()
    })
    expect(answer).toEqual(expected)
  } finally {
    await flare.dispose()
  }
})

/** The package's modules as they are, found through an import map. */
const page = async (): Promise<string> => {
  const installed = 'node_modules/@narrowapi/sdk'
  const { exports } = JSON.parse(await readFile(join(project, installed, 'package.json'), 'utf8'))
  const imports = Object.fromEntries(
    Object.entries<{ default?: string }>(exports).map(([entry, { default: path = '' }]) => [
      entry.replace('.', '@narrowapi/sdk'),
      `/${join(installed, path)}`,
    ]),
  )
  return `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
import { scenario } from './scenario.js'
globalThis.scenario = scenario
</script>`
}

test.concurrent('works in Chromium, unbundled', async () => {
  const { path, environment } = await debianProgram({
    command: 'chromium',
    program: 'usr/lib/chromium/chromium',
  })
  const browser = await chromium.launch({ executablePath: path, env: { ...process.env, ...environment } })
  try {
    const answer = await tried(async (options) => {
      const tab = await browser.newPage()
      await tab.goto(`${options.baseUrl}/page.html`)
      await tab.waitForFunction('globalThis.scenario')
      return tab.evaluate((given) => {
        const { scenario: run } = globalThis as unknown as {
          scenario: (options: Options) => Promise<unknown>
        }
        return run(given)
      }, options)
    })
    expect(answer).toEqual(expected)
  } finally {
    await browser.close()
  }
})
