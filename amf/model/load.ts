import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { SdkError } from '../../idl/index.ts'
import type { Model } from './model.ts'
import { parseModel } from './parse.ts'
import type { ModelSource } from './source.ts'
import { toolPath } from './tool-path.ts'

/**
 * Reads and parses a model file. `cliPath` is the program as built, by default.
 * @throws SdkError NOT_EXIST when there is no such file; INVALID_PARAMETER with every problem of its text.
 */
export function loadModel(path: string, options: { readonly cliPath?: string } = {}): Model {
  const absolute = resolve(path)
  let text: string
  try {
    text = readFileSync(absolute, 'utf8')
  } catch (cause) {
    throw new SdkError('NOT_EXIST', `cannot read the model ${absolute}: ${String(cause)}`, {
      cause,
    })
  }
  return parseHere(text, absolute, options.cliPath)
}

/** Parses a model that was applied. @throws SdkError INVALID_PARAMETER with every problem of its text. */
export function parseSource({ text, path }: Pick<ModelSource, 'text' | 'path'>): Model {
  return parseHere(text, path)
}

function parseHere(text: string, path: string, cliPath?: string): Model {
  return parseModel(text, {
    path,
    cliPath: cliPath ?? toolPath(),
    nodePath: process.execPath,
    fileExists: existsSync,
  })
}
