import { createHash } from 'node:crypto'
import { contract, ErrorBody, routesOf } from '@narrowapi/contract'
import { type ApiError, isApiError } from '@narrowapi/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
