import type postgres from 'postgres'

/** A pool, or a transaction of one: what queries are written with. */
export type Sql = postgres.Sql<Types> | postgres.TransactionSql<Types>
export type Pool = postgres.Sql<Types>
/** One connection of a pool, taken out of it. */
export type Reserved = postgres.ReservedSql<Types>
type Types = { int8: number; moment: string }
