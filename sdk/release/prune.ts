import { readdir, rm, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
// TypeScript 7, at the root, has no compiler API yet; the one that openapi-typescript needs does.
import ts from '../../openapi/node_modules/typescript/lib/typescript.js'
import { tightComments } from './comments.ts'

/** Takes out of the declarations in a folder all that nothing of an entry leads to: it types the inside only. */
export const prune = async (folder: string, entries: readonly string[]): Promise<void> => {
  const program = ts.createProgram(
    entries.map((entry) => join(folder, entry)),
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2024, types: [] },
  )
  const sources = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(folder + sep))
  const offered = sources.filter(({ fileName }) => entries.some((entry) => fileName === join(folder, entry)))
  const kept = reachableFrom(
    offered.flatMap(({ statements }) => [...statements]),
    program.getTypeChecker(),
    (node) => sources.includes(node.getSourceFile()),
  )
  const texts = new Map(sources.map((source) => [source.fileName, printKept(source, kept)]))
  for (const path of await readdir(folder, { recursive: true })) {
    const file = join(folder, path)
    if (!file.endsWith('.d.ts')) continue
    const text = texts.get(file)
    await (text ? writeFile(file, `${tightComments(text.trim())}\n`) : rm(file))
  }
}

/** These statements and those that they name, directly or not, with the names that are imported for it. */
const reachableFrom = (
  statements: readonly ts.Node[],
  checker: ts.TypeChecker,
  isOurs: (node: ts.Node) => boolean,
): ReadonlySet<ts.Node> => {
  const kept = new Set<ts.Node>()
  const keep = (node: ts.Node): void => {
    if (kept.has(node)) return
    kept.add(node)
    visit(node)
  }
  const visit = (node: ts.Node): void => {
    // What is imported is kept where it is named.
    if (ts.isImportDeclaration(node)) return
    if (ts.isIdentifier(node)) follow(checker.getSymbolAtLocation(node))
    if (ts.isExportDeclaration(node) && !node.exportClause && node.moduleSpecifier)
      checker.getSymbolAtLocation(node.moduleSpecifier)?.exports?.forEach(follow)
    ts.forEachChild(node, visit)
  }
  const follow = (symbol: ts.Symbol | undefined): void => {
    for (const declaration of symbol?.declarations ?? []) {
      if (kept.has(declaration) || ts.isSourceFile(declaration) || !isOurs(declaration)) continue
      if (ts.isImportSpecifier(declaration)) {
        kept.add(declaration)
        followInto(declaration.parent.parent.parent.moduleSpecifier, declaration)
      } else if (ts.isExportSpecifier(declaration)) {
        kept.add(declaration)
        keep(statementOf(declaration))
        const { moduleSpecifier } = declaration.parent.parent
        if (moduleSpecifier) followInto(moduleSpecifier, declaration)
        else follow(checker.getExportSpecifierLocalTargetSymbol(declaration))
      } else keep(statementOf(declaration))
    }
  }
  /** One module at a time: those in between are needed too. */
  const followInto = (module: ts.Expression, { name, propertyName = name }: Specifier): void => {
    const { exports } = checker.getSymbolAtLocation(module) ?? {}
    const found = ts.isIdentifier(propertyName) && exports?.get(propertyName.escapedText)
    follow(found || exports?.get(ts.InternalSymbolName.ExportStar))
  }
  statements.forEach(keep)
  return kept
}

type Specifier = ts.ImportSpecifier | ts.ExportSpecifier

const statementOf = (node: ts.Node): ts.Node =>
  ts.isSourceFile(node.parent) ? node : statementOf(node.parent)

/** Nothing, where nothing is kept. */
const printKept = ({ statements }: ts.SourceFile, kept: ReadonlySet<ts.Node>): string =>
  statements.some((statement) => kept.has(statement))
    ? statements.map((statement, index) => printStatement(statement, kept, index === 0)).join('')
    : ''

const printStatement = (statement: ts.Statement, kept: ReadonlySet<ts.Node>, isFirst: boolean): string => {
  if (!ts.isImportDeclaration(statement))
    return kept.has(statement) || isMark(statement) ? statement.getFullText() : ''
  // What is said of the whole file stands before the first.
  const before = isFirst ? statement.getFullText().slice(0, statement.getLeadingTriviaWidth()) : '\n'
  const names = namesOf(statement).filter((name) => kept.has(name))
  if (names.length === 0) return before.trimEnd()
  const type = statement.importClause?.isTypeOnly ? 'type ' : ''
  const list = names.map((name) => name.getText()).join(', ')
  return `${before}import ${type}{ ${list} } from ${statement.moduleSpecifier.getText()};`
}

/** `export {}`, without which all declarations of a file were exported. */
const isMark = (statement: ts.Statement): boolean =>
  ts.isExportDeclaration(statement) &&
  statement.exportClause !== undefined &&
  ts.isNamedExports(statement.exportClause) &&
  statement.exportClause.elements.length === 0

const namesOf = (statement: ts.ImportDeclaration): readonly ts.ImportSpecifier[] => {
  const bindings = statement.importClause?.namedBindings
  if (bindings && ts.isNamedImports(bindings)) return bindings.elements
  throw new Error(`Nobody expects ${statement.getText()}`)
}
