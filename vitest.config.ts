import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Beside what they test: they start nothing, so that they can share a process. */
const units = ['{contract,server,sdk,openapi}/src/**/*.test.ts']

/** They mostly wait: for time limits that are theirs to wait for, and for processes to start. */
const waiting = [
  'test/{faults,servers,workers}/**/*.test.ts',
  'test/db/embedded.test.ts',
  'test/http/opentelemetry.test.ts',
  'test/proxy/crash.test.ts',
  'test/sdk/behaviour.test.ts',
]

export default defineConfig({
  test: {
    globalSetup: ['test/support/postgres.ts', 'test/support/run-folder.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Vitest would leave a core free, which is half of a small machine; and every file waits now and then.
    maxWorkers: availableParallelism() + 1,
    restoreMocks: true,
    // As the server does: the driver asks each new connection for the types of arrays and awaits no answer, so a server
    // that ends meanwhile leaves a rejection that is nobody's.
    onUnhandledError: (error) => !isOfTheDriver(error),
    projects: [
      {
        // Half a hundred files of milliseconds each: a process for each would take longer than all of them.
        extends: true,
        test: { name: 'units', include: units, isolate: false, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...waiting],
          sequence: { groupOrder: 0 },
        },
      },
      {
        // So more of them than cores run at once. Each starts several processes, which takes as long as the machine
        // is busy.
        extends: true,
        test: {
          name: 'waiting',
          include: waiting,
          maxWorkers: 2 * availableParallelism(),
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})

const isOfTheDriver = (error: object): boolean => /\bpg_type\b/.test(String(Reflect.get(error, 'query')))
