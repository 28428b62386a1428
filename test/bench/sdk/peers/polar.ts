import { createPolarCore, type PolarCore } from '@polar-sh/sdk/2026-10'
import {
  createCustomers,
  deleteCustomers,
  getCustomers,
  listCustomers,
  updateCustomers,
} from '@polar-sh/sdk/2026-10/services/customers'

/** It takes seconds. */
type Options = { timeout?: number }

export const connect = (baseUrl: string, { timeout }: Options = {}): PolarCore =>
  createPolarCore({
    accessToken: 'polar_oat_bench_0123456789',
    baseUrl,
    ...(timeout === undefined ? {} : { timeout: timeout / 1000 }),
  })

export const list = (polar: PolarCore) => listCustomers(polar)()
export const create = (polar: PolarCore) => createCustomers(polar)({ email: 'ada@example.com' })
export const get = (polar: PolarCore, id: string) => getCustomers(polar)(id)
export const update = (polar: PolarCore, id: string) => updateCustomers(polar)(id, { name: 'Returns' })
export const remove = (polar: PolarCore, id: string) => deleteCustomers(polar)(id)
