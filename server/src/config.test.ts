import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

test.each([
  ['DATABASE_URL', 'postgres://us%zzer@127.0.0.1/d'],
  ['DATABASE_URL', 'postgres://user:100%@127.0.0.1/d'],
  ['DATABASE_URL', 'postgres://user@127.0.0.1/d%'],
  ['DATABASE_URL', 'mysql://user@127.0.0.1/d'],
  ['REDIS_URL', 'redis://:100%@127.0.0.1'],
  ['NARROWAPI_PUBLIC_URL', 'https://user@narrow.example.com'],
  ['NARROWAPI_PUBLIC_URL', 'https://:secret@narrow.example.com'],
  ['NARROWAPI_PUBLIC_URL', 'https://narrow.example.com/?a=b'],
  ['NARROWAPI_PUBLIC_URL', 'https://narrow.example.com/?'],
  ['NARROWAPI_PUBLIC_URL', 'https://narrow.example.com/#top'],
  ['NARROWAPI_PUBLIC_URL', 'narrow.example.com'],
])('says that %s cannot be %s, and repeats nothing of it', (name, value) => {
  const read = () => readConfig({ [name]: value })
  expect(read).toThrow(`The environment is not usable:\n  ${name}: must`)
  expect(read).not.toThrow(value)
})

test('refuses ports for the figures of workers that do not exist', () => {
  const figures = (workers: string) =>
    readConfig({ METRICS_PORT: '65534', NARROWAPI_WORKERS: workers }).metrics
  expect(figures('2')?.ofAll).toEqual([65_534, 65_535])
  expect(() => figures('3')).toThrow('METRICS_PORT: must leave a port up to 65535 for each worker')
})

test.each([
  ['DATABASE_URL', 'postgres://o%20d:p%40%25@[::1]:5432/we%20ird?sslmode=require'],
  ['DATABASE_URL', 'postgres://user@one,two:5433/d'],
  ['DATABASE_URL', 'postgres:///d?host=/run/postgresql'],
  ['REDIS_URL', 'rediss://user:p%40@redis.example.com/1'],
])('takes a %s such as %s', (name, value) => {
  expect(Object.values(readConfig({ [name]: value }))).toContain(value)
})

test.each([
  ['https://example.com/narrow/', 'https://example.com/narrow'],
  // It is put into JSON, YAML, HTML and commands as it is.
  ['HTTPS://Example.com:443/a "b"\\c: d', 'https://example.com/a%20%22b%22/c:%20d'],
])('takes the public URL %s as %s', (value, publicUrl) => {
  expect(readConfig({ NARROWAPI_PUBLIC_URL: value }).publicUrl).toBe(publicUrl)
})
