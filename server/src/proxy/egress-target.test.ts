import { describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { parseEgressAllow } from './egress-allow.ts'
import { checkTarget, mayDial, readTarget } from './egress-target.ts'

const nothing = parseEgressAllow('')
const reasonFor = (url: string, allow = ''): string | undefined => {
  try {
    checkTarget(url, parseEgressAllow(allow))
    return undefined
  } catch (error) {
    return error instanceof ApiError ? error.details?.[0]?.message : String(error)
  }
}
const accepts = (url: string, allow = ''): boolean => reasonFor(url, allow) === undefined
const dials = (url: string, address: string, allow = ''): boolean => {
  const target = readTarget(url)
  return typeof target !== 'string' && mayDial(target, address, parseEgressAllow(allow))
}

describe('a target URL', () => {
  test.each([
    ['https://127.0.0.1/', 'public internet; this address'],
    ['https://intranet/', 'public internet; this name'],
    ['https://0x7f.1/', 'plainly'],
    ['https://example.com\\@10.0.0.1/', 'backslashes'],
    ['https://user@example.com/', 'user name'],
    ['https://example.com:22/', 'port 443 or 8443'],
    ['ftp://example.com/', 'begin with https://'],
    ['example.com/v1', 'absolute URL'],
    ['https://example.com/#top', 'fragment'],
    ['https://{host}/', 'plainly'],
  ])('such as %s is refused with a reason', (url, reason) => {
    expect(reasonFor(url)).toContain(reason)
  })

  test('is refused with the field named and a text that says what to do', () => {
    expect(() => checkTarget('http://api.example.com/', nothing)).toThrow(
      expect.objectContaining({
        code: 'validation_failed',
        details: [
          { field: 'target_url', message: 'must begin with https:// unless the operator allows this host' },
        ],
      }),
    )
  })

  test('is stored as the name that is dialled', () => {
    expect(checkTarget('HTTPS://API.Example.COM.:443/v1', nothing).href).toBe('https://api.example.com/v1')
    expect(checkTarget('https://bücher.example/', nothing).hostname).toBe('xn--bcher-kva.example')
  })
})

describe('an allowed host', () => {
  test('may be called with http, on any port, wherever it resolves to', () => {
    expect(accepts('http://crm:3000/', 'crm')).toBe(true)
    expect(accepts('http://CRM.:3000/', 'crm')).toBe(true)
    expect(dials('http://crm:3000/', '10.1.2.3', 'crm')).toBe(true)
    expect(accepts('https://localhost/', ' localhost , other')).toBe(true)
  })

  test('is limited to its port when one is given', () => {
    expect(accepts('http://crm:3000/', 'crm:3000')).toBe(true)
    expect(accepts('http://crm:3001/', 'crm:3000')).toBe(false)
    expect(dials('http://crm:3001/', '10.1.2.3', 'crm:3000')).toBe(false)
  })

  test('does not open other names that resolve to the same address, nor its subdomains', () => {
    expect(dials('https://evil.example.com/', '10.1.2.3', 'crm')).toBe(false)
    expect(accepts('http://sub.crm:3000/', 'crm')).toBe(false)
  })
})

describe('an allowed range', () => {
  test('opens literals and names that resolve into it, with http and any port', () => {
    expect(accepts('http://10.1.2.3:3000/', '10.0.0.0/8')).toBe(true)
    expect(accepts('http://crm.internal:3000/', '10.0.0.0/8')).toBe(true)
    expect(dials('http://crm.internal:3000/', '10.1.2.3', '10.0.0.0/8')).toBe(true)
    expect(accepts('http://[fd00::7]:3000/', 'fd00::/8')).toBe(true)
  })

  test('does not open what lies outside it', () => {
    expect(accepts('http://11.1.2.3:3000/', '10.0.0.0/8')).toBe(false)
    expect(accepts('https://192.168.0.1/', '10.0.0.0/8')).toBe(false)
    expect(dials('http://crm.internal:3000/', '192.168.0.1', '10.0.0.0/8')).toBe(false)
    expect(dials('http://api.example.com/', '93.184.215.14', '10.0.0.0/8')).toBe(false)
    expect(dials('https://api.example.com/', '::ffff:10.0.0.1', '10.0.0.0/8')).toBe(false)
  })

  test('may be one address with a port', () => {
    expect(accepts('http://127.0.0.1:9000/', '127.0.0.1:9000')).toBe(true)
    expect(accepts('http://127.0.0.1:9001/', '127.0.0.1:9000')).toBe(false)
    expect(accepts('http://[::1]:9000/', '[::1]:9000')).toBe(true)
    expect(accepts('http://[::1]:9001/', '[::1]:9000')).toBe(false)
    expect(accepts('http://127.1:9000/', '127.0.0.1:9000')).toBe(false)
  })
})

describe('NARROWAPI_EGRESS_ALLOW', () => {
  test.each([
    'http://crm',
    'crm/',
    '*.example.com',
    'crm:0',
    'crm:65536',
    'crm:http',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0/8',
    '127.1',
    '0x7f000001',
    'fe80::1%eth0',
    '[::1',
    'user@crm',
    'a b',
    '10.0.0.0/8:80',
  ])('refuses the entry %s by name', (entry) => {
    expect(() => parseEgressAllow(`ok.example.com,${entry}`)).toThrow(`"${entry}"`)
  })

  test('takes an empty list, spaces and Unicode names', () => {
    expect(parseEgressAllow(' , ')).toEqual([])
    expect(parseEgressAllow('BÜCHER.example.')).toEqual([
      { kind: 'name', name: 'xn--bcher-kva.example', port: null },
    ])
  })
})
