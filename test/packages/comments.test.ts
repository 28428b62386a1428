import { expect, test } from 'vitest'
import { tightComments } from '../../sdk/release/comments.ts'

const cases: readonly [what: string, source: string, tight: string][] = [
  ['one line', '/**\n * Its id.\n */\nid', '/** Its id. */\nid'],
  ['a comment of one line already', '/** Its id. */\nid', '/** Its id. */\nid'],
  ['a paragraph over lines', '\t/**\n\t * One and\n\t * `two`.\n\t */', '\t/** One and `two`. */'],
  ['paragraphs', '/**\n * One.\n *\n * Two.\n */', '/** One.\n *\n * Two. */'],
  [
    'tags',
    '/**\n * One.\n * @default null\n * @throws it\n */',
    '/** One.\n * @default null\n * @throws it */',
  ],
  ['a list', '/**\n * One:\n * - a\n * - b\n */', '/** One:\n * - a\n * - b */'],
  [
    'code, whose lines and indentation stay',
    '/**\n * One.\n * @example\n * ```ts\n * call({\n *   a: 1,\n * })\n * ```\n */',
    '/** One.\n * @example\n * ```ts\n * call({\n *   a: 1,\n * })\n * ```\n */',
  ],
]

test.each(cases)('takes no more lines than it needs for %s', (_what, source, tight) => {
  expect(tightComments(source)).toBe(tight)
})
