import Stripe from 'stripe'

type Options = { timeout?: number; fetch?: typeof fetch }

export const connect = (baseUrl: string, { timeout, fetch }: Options = {}): Stripe => {
  const { hostname, port } = new URL(baseUrl)
  return new Stripe('sk_test_bench_0123456789', {
    protocol: 'http',
    host: hostname,
    port,
    ...(timeout === undefined ? {} : { timeout }),
    ...(fetch ? { httpClient: Stripe.createFetchHttpClient(fetch) } : {}),
  })
}

export const list = (stripe: Stripe) => stripe.customers.list()
export const create = (stripe: Stripe) => stripe.customers.create({ name: 'Refunds' })
export const get = (stripe: Stripe, id: string) => stripe.customers.retrieve(id)
export const update = (stripe: Stripe, id: string) => stripe.customers.update(id, { name: 'Returns' })
export const remove = (stripe: Stripe, id: string) => stripe.customers.del(id)
