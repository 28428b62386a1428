import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { run } from '../../sdk/cli/src/run.ts'
import type { Actor } from '../support/server.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'
import { json } from '../support/upstream.ts'
import { createProject, type Project, type Ran, runNode } from './project.ts'

const command = fileURLToPath(new URL('../../sdk/cli/src/main.ts', import.meta.url))

// Compilers are slow where many tests run at once.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const { server, upstream } = await serverAndUpstream()
let owner: Actor
let project: Project

beforeEach(async () => {
  owner = await server.newWorkspace()
  project = await createProject()
  upstream.received = []
})

afterEach(() => project.remove())

type CreateAction = Parameters<Actor['narrow']['actions']['create']>[0]

const narrowapi = (args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> =>
  runNode([command, ...args], { cwd: project.folder, environment })

const pull = (token: string, ...more: string[]): Promise<Ran> =>
  narrowapi(['pull', ...more], { NARROWAPI_API_KEY: token, NARROWAPI_BASE_URL: server.url })

const generatedFile = () => join(project.folder, 'narrow.gen.ts')

const generated = () => readFile(generatedFile(), 'utf8')

/** What both compilers say of the project, and that they agree. */
const compiled = async (): Promise<string> => {
  const [older, newer] = [await project.compile('5.9'), await project.compile('7')]
  const places = (text: string) =>
    [...text.matchAll(/^\S+\(\d+,\d+\): error TS\d+/gm)].map(([place]) => place)
  expect(places(newer)).toEqual(places(older))
  return newer
}

const refund: CreateAction = {
  name: 'Refund a charge',
  description: 'Refunds a charge, in full or in part',
  target_url: '',
  method: 'POST',
  input_schema: [
    { name: 'charge_id', type: 'string', required: true, pattern: '^ch_', description: 'Which charge' },
    { name: 'amount', type: 'integer', required: true, minimum: 1, description: 'How much, in cents' },
    { name: 'currency', type: 'string' },
    { name: 'reason', type: 'string', enum: ['duplicate', 'fraudulent'] },
    { name: 'account', type: 'string', required: true },
  ],
  fixed_input: { account: 'acct_1' },
  constraints: [{ path: '/amount', op: 'max', value: 5000 }],
  output_schema: {
    type: 'object',
    properties: { id: { type: 'string' }, status: { enum: ['pending', 'succeeded'] } },
    required: ['id', 'status'],
  },
}

const order: CreateAction = {
  name: 'Create order',
  slug: 'create_order',
  target_url: '',
  method: 'POST',
  input_schema: {
    type: 'object',
    properties: {
      lines: {
        type: 'array',
        minItems: 1,
        items: { $ref: '#/$defs/line' },
      },
      ship_to: { type: ['string', 'null'], default: null },
    },
    required: ['lines'],
    additionalProperties: false,
    $defs: {
      line: {
        type: 'object',
        properties: {
          sku: { type: 'string' },
          quantity: { type: 'integer', minimum: 1, maximum: 99, default: 1 },
          parts: { type: 'array', items: { $ref: '#/$defs/line' } },
        },
        required: ['sku'],
        additionalProperties: false,
      },
    },
    examples: [{ lines: [{ sku: 'A-1', quantity: 2 }] }],
  },
}

const create = (action: CreateAction, path = '/upstream') =>
  owner.narrow.actions.create({ rate_limit_rpm: 600, ...action, target_url: `${upstream.url}${path}` })

type Grants = NonNullable<Parameters<Actor['narrow']['tokens']['create']>[0]['grants']>

const tokenFor = async (...grants: Grants) =>
  (await owner.narrow.tokens.create({ name: 'support-bot', grants })).token

const both = async () => {
  const [one, two] = [await create(refund), await create(order)]
  return tokenFor({ action_id: one.id }, { action_id: two.id })
}

describe('a client for the actions of a token', () => {
  it('compiles, runs and answers what the upstream said', async () => {
    const token = await both()
    expect(await pull(token)).toEqual({
      exitCode: 0,
      stdout: 'Wrote narrow.gen.ts: 2 functions\n',
      stderr: '',
    })
    await project.write(
      'use.ts',
      `import { NarrowAPI } from '@narrowapi/sdk'
      import { createOrder, type CreateOrderInput, refundACharge } from './narrow.gen.ts'

      const narrow = new NarrowAPI()
      const input: CreateOrderInput = { lines: [{ sku: 'A-1', parts: [{ sku: 'A-2', quantity: 2 }] }], ship_to: null }
      const refund = await refundACharge(narrow, { charge_id: 'ch_1', amount: 1200, reason: undefined })
      const status: 'pending' | 'succeeded' = refund.status
      const { data, response } = await createOrder(narrow, input, { retries: 0 }).withResponse()
      const anything: unknown = data
      console.log(JSON.stringify([refund.id, status, anything, response.status]))
      `,
    )
    expect(await compiled()).toBe('')
    upstream.answer = (request, response) =>
      json(200, request.body.includes('lines') ? { order: 7 } : { id: 're_1', status: 'succeeded' })(
        request,
        response,
      )
    const environment = { NARROWAPI_API_KEY: token, NARROWAPI_BASE_URL: server.url }
    const ran = await runNode(['use.ts'], { cwd: project.folder, environment })
    expect(ran.stderr).toBe('')
    expect(JSON.parse(ran.stdout)).toEqual(['re_1', 'succeeded', { order: 7 }, 200])
    expect(upstream.received.map(({ body }) => JSON.parse(body))).toEqual([
      { charge_id: 'ch_1', amount: 1200, account: 'acct_1' },
      { lines: [{ sku: 'A-1', parts: [{ sku: 'A-2', quantity: 2 }] }], ship_to: null },
    ])
  })

  it('refuses, when compiled, what the server would refuse', async () => {
    await pull(await both())
    const wrong = {
      'a required input': `refundACharge(narrow, { charge_id: 'ch_1' })`,
      'another type': `refundACharge(narrow, { charge_id: 'ch_1', amount: '12' })`,
      'a value that is not listed': `refundACharge(narrow, { charge_id: 'ch_1', amount: 1, reason: 'bored' })`,
      'an input that is not there': `refundACharge(narrow, { charge_id: 'ch_1', amount: 1, amout: 2 })`,
      'a fixed input': `refundACharge(narrow, { charge_id: 'ch_1', amount: 1, account: 'acct_2' })`,
      'a part of a part': `createOrder(narrow, { lines: [{ sku: 'A', parts: [{ quantity: 1 }] }] })`,
      'no input': `createOrder(narrow)`,
      'a field of an unknown answer': `(await createOrder(narrow, { lines: [] })).id`,
      'another action': `cancelOrder(narrow, {})`,
    }
    const calls = Object.values(wrong).map((call) => `// @ts-expect-error\nvoid ${call}`)
    await project.write(
      'use.ts',
      `import { NarrowAPI } from '@narrowapi/sdk'
      import { createOrder, refundACharge } from './narrow.gen.ts'
      const narrow = new NarrowAPI()
      ${calls.join('\n')}
      void refundACharge(narrow, { charge_id: 'ch_1', amount: 1, reason: 'duplicate', currency: 'usd' })
      `,
    )
    expect(await compiled()).toBe('')
  })

  it('no longer compiles a call whose grant is gone', async () => {
    const [one, two] = [await create(refund), await create(order)]
    const wide = await tokenFor({ action_id: one.id }, { action_id: two.id })
    await pull(wide)
    await project.write(
      'use.ts',
      `import { NarrowAPI } from '@narrowapi/sdk'
      import { createOrder, refundACharge } from './narrow.gen.ts'
      const narrow = new NarrowAPI()
      await createOrder(narrow, { lines: [{ sku: 'A' }] })
      await refundACharge(narrow, { charge_id: 'ch_1', amount: 1, currency: 'usd' })
      `,
    )
    expect(await compiled()).toBe('')
    const onlyEuros = { path: '/currency', op: 'eq' as const, value: 'eur' }
    const narrowed = await tokenFor({ action_id: one.id, constraints: [onlyEuros] })
    expect(await pull(narrowed, '--check')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('gone: createOrder'),
    })
    await pull(narrowed)
    const said = await compiled()
    expect(said).toMatch(/use\.ts\(2,.*createOrder/)
    expect(said).toMatch(/use\.ts\(5,.*'"usd"' is not assignable to type '"eur"/)
    expect(said.trim().split('\n')).toHaveLength(2)
  })

  it('tells in comments what a type cannot', async () => {
    const action = await create({
      ...refund,
      annotations: { destructive: true },
      rate_limit_rpm: 30,
      rate_limit_rph: 100,
    })
    await pull(
      await tokenFor({
        action_id: action.id,
        max_uses: 9,
        constraints: [
          { path: '/charge_id', op: 'prefix', value: 'ch_eu' },
          { op: 'time_window', days: ['mon', 'fri'], from: '09:00', to: '17:00', timezone: 'Europe/Berlin' },
          {
            op: 'any_of',
            constraints: [
              { path: '/reason', op: 'required' },
              { path: '/amount', op: 'max', value: 10 },
            ],
          },
        ],
      }),
    )
    expect(await generated()).toBe(`/* eslint-disable */
// Written by \`narrowapi pull\`. Do not edit it: pull again when the grants of the token change.

import type { Call, NarrowAPI, RequestOptions } from '@narrowapi/sdk'

/** What runs an action: a \`NarrowAPI\` that was made with an execution token (\`sxt_…\`). */
export type ActionClient = Pick<NarrowAPI, 'execute'>

/**
 * What \`refund-a-charge\` takes.
 * Accepted: calls on mon, fri from 09:00 to 17:00 in Europe/Berlin.
 * Accepted: \`/reason\`: must be given, or \`/amount\`: at most \`10\`.
 */
export type RefundAChargeInput = {
  /**
   * Which charge.
   * Matches \`^ch_\`.
   * Accepted: what begins with \`ch_eu\`.
   */
  charge_id: string
  /**
   * How much, in cents.
   * At least 1. A whole number.
   * Accepted: at most \`5000\`.
   */
  amount: number
  currency?: string | undefined
  reason?: 'duplicate' | 'fraudulent' | undefined
}

/** What \`refund-a-charge\` answers. */
export type RefundAChargeOutput = {
  id: string
  status: 'pending' | 'succeeded'
}

/**
 * Refund a charge.
 *
 * Refunds a charge, in full or in part.
 *
 * Action \`refund-a-charge\`. At most 30 calls a minute and 100 calls an hour. May run a limited number of
 * times. May destroy something.
 */
export const refundACharge = (
  client: ActionClient,
  input: RefundAChargeInput,
  options?: RequestOptions,
): Call<RefundAChargeOutput> => client.execute<RefundAChargeOutput>('${action.id}', input, options)
`)
  })

  it('is the same after calls, and from another token with the same grants', async () => {
    const action = await create(refund)
    const grant = { action_id: action.id, max_uses: 5 }
    const token = await tokenFor(grant)
    await pull(token)
    const first = await generated()
    upstream.answer = json(200, { id: 're_1', status: 'pending' })
    await server.as(token).execute(action.id, { charge_id: 'ch_1', amount: 1 })
    expect(await pull(token, '--check')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('up to date'),
    })
    expect((await pull(await tokenFor(grant), '--out', '-')).stdout).toBe(first)
  })

  it('is an empty module when nothing may be called', async () => {
    const action = await create(refund)
    const token = await tokenFor({ action_id: action.id })
    await owner.narrow.actions.update(action.id, { status: 'paused' })
    expect(await pull(token)).toMatchObject({ exitCode: 0, stdout: 'Wrote narrow.gen.ts: 0 functions\n' })
    expect(await project.compile('7')).toBe('')
  })

  it('keeps the functions that are not imported out of a bundle', async () => {
    await pull(await both())
    await project.write(
      'use.ts',
      `import { refundACharge } from './narrow.gen.ts'
      export const run = (client: Parameters<typeof refundACharge>[0]) => refundACharge(client, { charge_id: 'ch_1', amount: 1 })`,
    )
    const { rolldown } = await import('rolldown')
    const bundle = await rolldown({ input: join(project.folder, 'use.ts') })
    const { output } = await bundle.generate({ format: 'esm' })
    await bundle.close()
    expect(output[0].code).toContain('refundACharge')
    expect(output[0].code).not.toContain('createOrder')
    expect(output[0].imports).toEqual([])
  })
})

describe('the file', () => {
  it('is written to the given place, to the standard output, or checked and left alone', async () => {
    const token = await both()
    const path = join(project.folder, 'other.ts')
    expect(await pull(token, '--check', '--out', 'other.ts')).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: 'narrowapi: other.ts is missing: run narrowapi pull\n',
    })
    await expect(stat(path)).rejects.toThrow()
    expect((await pull(token, '-o', 'other.ts')).exitCode).toBe(0)
    const { mtimeMs } = await stat(path)
    expect(await pull(token, '-o', 'other.ts')).toMatchObject({
      stdout: 'other.ts is up to date: 2 functions\n',
    })
    expect((await stat(path)).mtimeMs).toBe(mtimeMs)
    expect((await pull(token, '--out', '-')).stdout).toBe(await readFile(path, 'utf8'))
    const edited = (await readFile(path, 'utf8')).replace('amount: number', 'amount: string')
    await writeFile(path, edited)
    expect(await pull(token, '-o', 'other.ts', '--check')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('inputs, answers or descriptions changed'),
    })
    expect(await readFile(path, 'utf8')).toBe(edited)
    expect(await readdir(project.folder)).not.toContainEqual(expect.stringContaining('.part'))
  })

  it('counts as the same with the line ends of Windows', async () => {
    const token = await both()
    await pull(token)
    await project.write('narrow.gen.ts', (await generated()).replaceAll('\n', '\r\n'))
    expect((await pull(token, '--check')).exitCode).toBe(0)
  })

  it('never replaces a file that somebody else wrote', async () => {
    await project.write('index.ts', 'export const precious = 1\n')
    const token = await both()
    for (const precious of [
      'export const precious = 1\n',
      "export const quoted = '// Written by `narrowapi pull`.'\n",
    ]) {
      await project.write('index.ts', precious)
      expect(await pull(token, '--out', 'index.ts')).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('left alone'),
      })
      expect(await readFile(join(project.folder, 'index.ts'), 'utf8')).toBe(precious)
    }
  })

  it('is replaced where a link to it leads', async () => {
    const token = await both()
    await pull(token, '--out', 'real.ts')
    const whole = await readFile(join(project.folder, 'real.ts'), 'utf8')
    await project.write('real.ts', whole.replace('amount: number', 'amount: string'))
    await symlink('real.ts', join(project.folder, 'narrow.gen.ts'))
    expect((await pull(token)).exitCode).toBe(0)
    expect(await readFile(join(project.folder, 'real.ts'), 'utf8')).toBe(whole)
    expect((await lstat(join(project.folder, 'narrow.gen.ts'))).isSymbolicLink()).toBe(true)
  })

  it('may be read in part from the standard output', async () => {
    const environment = { NARROWAPI_API_KEY: await both(), NARROWAPI_BASE_URL: server.url }
    const child = execFile(process.execPath, [command, 'pull', '--out', '-'], { env: environment })
    child.stdout?.destroy()
    let stderr = ''
    child.stderr?.on('data', (text: string) => {
      stderr += text
    })
    const [exitCode] = await once(child, 'close')
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: '' })
  })

  it('never holds the token, and neither does anything that is printed', async () => {
    const action = await create(refund)
    const token = await tokenFor({ action_id: action.id })
    await owner.narrow.actions.update(action.id, { description: `Call it with ${token}` })
    const ran = await pull(token)
    expect(ran).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('repeats the token') })
    await expect(generated()).rejects.toThrow()
    for (const args of [
      ['pull', token],
      [token],
      ['pull', '--nothing', token],
      ['pull', '--name', token],
      ['pull', `--${token}`],
    ]) {
      const { exitCode, stdout, stderr } = await narrowapi([...args, '--token', token])
      expect(exitCode).toBe(2)
      expect(stdout + stderr).not.toContain(token)
    }
  })
})

describe('names', () => {
  const named = async (...slugs: string[]) => {
    const actions = await Promise.all(slugs.map((slug) => create({ ...order, name: slug, slug })))
    return tokenFor(...actions.map(({ id }) => ({ action_id: id })))
  }

  it('stand for slugs that are words of the language, begin with a digit or hold odd characters', async () => {
    await pull(
      await named(
        'delete',
        'new',
        '2fa-send',
        'a--b__c',
        'x',
        'call',
        'input',
        'client',
        'promise',
        'action-client',
        'then',
      ),
    )
    expect(await project.compile('7')).toBe('')
    const functions = [...(await generated()).matchAll(/export const (\S+) =/g)].map(([, name]) => name)
    expect(functions).toEqual([
      '_2faSend',
      'aBC',
      'actionClient',
      'call',
      'client',
      'delete_',
      'input',
      'new_',
      'promise',
      // A module that exports `then` cannot be imported with `await import`, which would call it.
      'then_',
      'x',
    ])
  })

  it('that would be the same are refused until one is given', async () => {
    const token = await named('refund-charge', 'refund_charge')
    expect(await pull(token)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(
        /"refund-charge" and "refund_charge" would both be the function refundCharge.*--name/,
      ),
    })
    expect((await pull(token, '--name', 'refund_charge=refundOldCharge')).exitCode).toBe(0)
    expect(await generated()).toContain('export const refundOldCharge =')
    expect(await project.compile('7')).toBe('')
    expect(await pull(token, '--name', 'refund_charge=Refund-Charge')).toMatchObject({ exitCode: 2 })
    for (const name of ['delete', 'NarrowAPI', 'Call', 'RequestOptions']) {
      expect(await pull(token, '--name', `refund_charge=${name}`)).toMatchObject({ exitCode: 2 })
    }
    expect(await pull(token, '--name', 'nothing=a', '--name', 'refund_charge=b')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('may run no action "nothing"'),
    })
  })
})

describe('what goes wrong is said with what to do', () => {
  const refused = async (ran: Promise<Ran>, exitCode: number, says: RegExp) => {
    const { stdout, stderr, ...rest } = await ran
    expect(stdout).toBe('')
    expect(stderr).toMatch(says)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(rest.exitCode).toBe(exitCode)
  }

  it('in the command', async () => {
    await refused(narrowapi([]), 2, /^Writes a typed client/)
    await refused(narrowapi(['push']), 2, /no command "push".*--help/)
    await refused(narrowapi(['pull', 'x']), 2, /options only/)
    await refused(narrowapi(['pull', '--colour']), 2, /not known/)
    await refused(narrowapi(['pull', '--out']), 2, /needs a value/)
    await refused(narrowapi(['pull', '--out', '-', '--check', '--token', 'sxt_1']), 2, /--check/)
    await refused(
      narrowapi(['pull', '--token', 'sxt_1', '--base-url', 'nowhere']),
      2,
      /--base-url must be a URL/,
    )
    await refused(
      narrowapi(['pull', '--token', 'sxt_1', '--base-url', 'ftp://x.y']),
      2,
      /--base-url must be a URL/,
    )
    await refused(
      narrowapi(['pull', '--token', 'sxt_1', '--base-url', 'http://a:b@x.y']),
      2,
      /user or password/,
    )
    const wrong = [
      'https://h?x=1',
      'https://h/#a',
      'HTTPS://h',
      'http:h',
      ' https://h ',
      'https://h/a b',
      'https://',
    ]
    for (const url of wrong) {
      const token = ['pull', '--token', 'sxt_1']
      await refused(narrowapi([...token, '--base-url', url]), 2, /--base-url must be a URL/)
      await refused(narrowapi(token, { NARROWAPI_BASE_URL: url }), 2, /NARROWAPI_BASE_URL must be a URL/)
    }
  })

  it('in the token', async () => {
    const from = (token: string) => narrowapi(['pull', '--token', token, '--base-url', server.url])
    await refused(narrowapi(['pull']), 2, /No token: give --token sxt_… or set NARROWAPI_API_KEY/)
    await refused(from(owner.key), 2, /management key \(sk_…\)/)
    await refused(from('abc'), 2, /begins with sxt_/)
    await refused(from('sxt_a b'), 2, /begins with sxt_/)
    await refused(from('sxt_0123456789012345678901'), 1, /not accepted/)
    const token = await both()
    await owner.narrow.workspaces.pause(owner.workspaceId)
    await refused(from(token), 1, /paused/)
  })

  it('in the place for the file', async () => {
    const token = await both()
    await refused(pull(token, '--out', 'nowhere/narrow.gen.ts'), 1, /no folder .*nowhere: create it first/)
    await mkdir(join(project.folder, 'folder'))
    await refused(pull(token, '--out', 'folder'), 1, /folder is no file/)
    await refused(pull(token, '--out', 'tsconfig.json/x.ts'), 1, /no folder/)
  })

  it('in writing the file', async () => {
    // The name of the part that is written first is longer than file systems allow.
    await refused(
      pull(await both(), '--out', `${'x'.repeat(240)}.ts`),
      1,
      /cannot be written \(ENAMETOOLONG\)/,
    )
    expect(await readdir(project.folder)).toEqual(['node_modules', 'package.json', 'tsconfig.json'])
  })

  it('in the server', async () => {
    const token = 'sxt_0123456789012345678901'
    const from = (url: string) => narrowapi(['pull', '--token', token, '--base-url', url])
    const answering = async (listener: RequestListener) => {
      const stranger = createServer(listener).listen(0, '127.0.0.1')
      await once(stranger, 'listening')
      const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
      return { url, stop: () => new Promise((resolve) => stranger.close(resolve)) }
    }
    const gone = await answering(() => undefined)
    await gone.stop()
    await refused(from(gone.url), 1, /No connection to .*ECONNREFUSED.*is it running/)
    const answers: [status: number, body: string, says: RegExp][] = [
      [200, '<html>hello</html>', /no manifest/],
      [200, '[]', /no manifest/],
      [404, 'nothing here', /no manifest|not_found/],
      [200, '{"object":"manifest","callables":[{"id":1}]}', /update @narrowapi\/cli/],
    ]
    for (const [status, body, says] of answers) {
      const stranger = await answering((_, response) => {
        response
          .writeHead(status, { 'content-type': body.startsWith('<') ? 'text/html' : 'application/json' })
          .end(body)
      })
      await refused(from(stranger.url), 1, says)
      await stranger.stop()
    }
  })
})

describe('a hostile server', () => {
  const texts = [
    '*/ globalThis.stolen = 1 /*',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what is attempted
    '`${globalThis.stolen = 1}`',
    "'; globalThis.stolen = 1; '",
    'a\\',
    '\u2028globalThis.stolen = 1',
    '\r\nglobalThis.stolen = 1',
    '@deprecated {@link x} @ts-ignore',
    '\u202eright to left',
    '</script><!--',
    '#__NO_SIDE_EFFECTS__ a@__PURE__ # sourceMappingURL=data:,x',
    '\ud800',
    '',
  ]

  it('gets no code into the file, whatever it puts into names, texts and schemas', async () => {
    const schemas = texts.map((text) => ({
      type: 'object',
      title: text,
      description: text,
      properties: {
        [text]: {
          description: text,
          default: text,
          examples: [text],
          pattern: text,
          format: text,
          'x-unit': text,
        },
        named: { enum: [text, { [text]: text }, [text]], description: text },
        other: {
          $ref: `#/$defs/${encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1').toWellFormed())}`,
        },
        constant: { const: text, tsType: text, type: text },
      },
      required: [text],
      $defs: { [text.toWellFormed()]: { type: 'string', description: text } },
      examples: [text],
    }))
    const callables = texts.map((text, index) => ({
      object: 'callable',
      id: text || 'act_1',
      slug: `s${index}${text}`,
      name: text,
      description: text,
      version: 1,
      input_schema: schemas[index],
      output_schema: schemas[index],
      constraints: [
        { path: `/${text.replaceAll('~', '~0').replaceAll('/', '~1')}`, op: 'prefix', value: text },
        { path: '/nowhere', op: 'in', value: [text] },
        { op: text, path: text, value: text },
      ],
      annotations: {},
      examples: [{ [text]: text }],
      limits: { rate_limit_rpm: null, rate_limit_rph: null, concurrency_limit: null, uses_left: null },
    }))
    const stranger = createServer((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ object: 'manifest', callables }))
    }).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    const ran = await narrowapi(['pull', '--token', 'sxt_1', '--base-url', url])
    stranger.close()
    expect(ran).toEqual({
      exitCode: 0,
      stdout: `Wrote narrow.gen.ts: ${texts.length} functions\n`,
      stderr: '',
    })
    expect(await compiled()).toBe('')
    const text = await generated()
    expect(text).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|\r/u)
    const comments = text.match(/^ *(?:\/\*\*| \*).*$/gm)?.join('\n')
    // The tags of this text, which tools act upon, are ours.
    expect(comments?.match(/(?<=[\s{])@\w+/g)?.filter((tag) => !/^@(?:default|example)$/.test(tag))).toEqual(
      [],
    )
    expect(comments).not.toMatch(/[#@](?:__|\s*source)/)
    await project.write(
      'use.ts',
      `import * as actions from './narrow.gen.ts'
      const called: unknown[] = []
      const client = { execute: (...args: unknown[]) => called.push(args[0]) } as unknown as actions.ActionClient
      for (const action of Object.values(actions)) (action as (client: actions.ActionClient) => unknown)(client)
      console.log(JSON.stringify({ called, stolen: 'stolen' in globalThis }))`,
    )
    const { stdout } = await runNode(['use.ts'], { cwd: project.folder })
    const { called, stolen } = JSON.parse(stdout)
    expect(stolen).toBe(false)
    expect(new Set(called)).toEqual(new Set(callables.map(({ id }) => id)))
  })

  it.each([
    ['https://evil.example/schema.json', /only references inside it are followed/],
    ['file:///etc/passwd', /only references inside it are followed/],
    ['#/nowhere', /which it does not have/],
    ['#/constructor', /which it does not have/],
    ['#%', /only references inside it are followed/],
  ])('makes nothing be read from elsewhere: %s', async ($ref, says) => {
    const ran = await pullOf({ type: 'object', properties: { a: { $ref } } })
    expect(ran).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringMatching(says) })
  })

  it('gets nothing onto the terminal but text, and no command that could be pasted', async () => {
    const odd = "\u001b]0;x\u0007\u009b2J\u202e'; touch pasted; '"
    const ran = await pullOf({ type: 'object' }, [], [`a${odd}`, `a-${odd}`])
    expect(ran).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('both be the function') })
    expect(ran.stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
    expect(ran.stderr).not.toContain("--name 'a")
    const stranger = createServer((_, response) => {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '3600' })
      response.end(JSON.stringify({ error: 'rate_limited', message: odd, request_id: 'req_1' }))
    }).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    const { stderr } = await narrowapi(['pull', '--token', 'sxt_1', '--base-url', url])
    stranger.close()
    expect(stderr).toContain('touch pasted')
    expect(stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
  })

  it.each([
    { path: 5, op: 'max', value: 1 },
    { path: '/a', op: 5 },
    { path: '/a', op: 'in', value: 5 },
    { path: '/a', op: 'host_in', value: null },
    { path: '/a', op: 'pattern', value: {} },
    { path: '/a', op: 'each', constraints: 5 },
    { op: 'any_of', constraints: [null] },
    { op: 'not' },
    { op: 'time_window' },
  ])('is told apart from a newer one by a constraint that cannot be read: %j', async (constraint) => {
    const ran = await pullOf({ type: 'object', properties: { a: {} } }, [constraint])
    expect(ran).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringMatching(/^narrowapi: The manifest of .* update @narrowapi\/cli\n$/),
    })
  })

  it('makes no input of anything but objects', async () => {
    for (const schema of [{}, { type: 'string' }, { type: ['object', 'null'] }]) {
      expect(await pullOf(schema)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('update') })
    }
    expect((await pullOf({ type: 'object', $ref: '#' })).exitCode).toBe(0)
    expect(await compiled()).toBe('')
  })

  it('makes no endless types', async () => {
    const endless = {
      type: 'object',
      properties: { a: { $ref: '#/$defs/a' }, deep: { $ref: '#/$defs/deep' } },
      $defs: {
        a: { $ref: '#/$defs/b' },
        b: { anyOf: [{ $ref: '#/$defs/a' }, { type: 'string' }] },
        deep: { anyOf: [{ type: 'array', items: { $ref: '#/$defs/deep' } }, { type: 'number' }] },
      },
    }
    expect((await pullOf(endless)).exitCode).toBe(0)
    expect(await project.compile('7')).toBe('')
    const nested = `{"type":"object","properties":{"a":${'{"type":"array","items":'.repeat(20_000)}{}${'}'.repeat(20_000)}}}`
    expect(await pullOf(nested)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('nested more than'),
    })
  })

  it('does not make the command work without end', async () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => {
        const next = { $ref: `#/$defs/d${index + 1}` }
        return [`d${index}`, { type: 'object', properties: { a: { allOf: [next, next] } } }]
      }),
    )
    const doubling = {
      type: 'object',
      properties: { a: { $ref: '#/$defs/d0' } },
      $defs: { ...$defs, d60: {} },
    }
    expect((await pullOf(doubling)).exitCode).toBe(0)
    expect(await project.compile('7')).toBe('')
    const rule = [{ path: '/a'.repeat(25), op: 'max', value: 1 }]
    expect(await pullOf(doubling, rule)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('parts'),
    })
    const deep = [{ path: '/a'.repeat(200_000), op: 'required' }]
    expect(await pullOf(doubling, deep)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('too deep'),
    })
  })

  /** Pulls from a server whose actions, of which there is one, have this input schema. */
  const pullOf = async (
    schema: object | string,
    constraints: readonly object[] = [],
    slugs: readonly string[] = ['a'],
  ): Promise<Ran> => {
    const text = typeof schema === 'string' ? schema : JSON.stringify(schema)
    const rest = JSON.stringify({
      output_schema: null,
      constraints,
      annotations: {},
      examples: [],
      limits: { rate_limit_rpm: null, rate_limit_rph: null, concurrency_limit: null, uses_left: null },
    }).slice(1, -1)
    const callables = slugs.map(
      (slug) =>
        `{"id":"act_1","slug":${JSON.stringify(slug)},"name":"A","description":"","input_schema":${text},${rest}}`,
    )
    const stranger = createServer((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(`{"object":"manifest","callables":[${callables}]}`)
    }).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    // Within this process: starting one for each takes longer than all the rest.
    const ran = await run(['pull', '--token', 'sxt_1', '--base-url', url, '--out', generatedFile()], {})
    stranger.close()
    return ran
  }
})

describe('help and version', () => {
  it('are printed', async () => {
    for (const args of [['--help'], ['help'], ['pull', '-h']]) {
      const { exitCode, stdout, stderr } = await narrowapi(args)
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
      for (const option of ['--token', '--out', '--base-url', '--check', '--name', 'NARROWAPI_API_KEY']) {
        expect(stdout).toContain(option)
      }
    }
    const { version } = JSON.parse(
      await readFile(new URL('../../sdk/cli/package.json', import.meta.url), 'utf8'),
    ) as { version: string }
    expect((await narrowapi(['--version'])).stdout).toBe(`${version}\n`)
  })
})
