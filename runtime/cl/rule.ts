import { SdkError, type ClRcT } from '../../idl/index.ts'
import {
  appendRule,
  convertRule,
  duplicateRule,
  elementsOf,
  evaluateDouble,
  evaluateRule,
  localizeRule,
  RULE_FLAG,
  RuleExpression,
} from '../basic/rule/expression.ts'
import { packRule, ruleText, unpackRule } from '../basic/rule/pack.ts'
import { ClLibrary, given } from './library.ts'
import type { ClOut } from './process.ts'

/** The first element of a rule. */
export type ClRuleExprT = RuleExpression

/** Flags of an element. SAFplus, section 20.7. */
export const CL_RULE_LITTLE_END: number = RULE_FLAG.LITTLE_END
export const CL_RULE_BIG_END: number = RULE_FLAG.BIG_END
export const CL_RULE_NON_ZERO_MATCH: number = RULE_FLAG.NON_ZERO_MATCH
export const CL_RULE_MATCH_EXACT: number = RULE_FLAG.MATCH_EXACT
export const CL_RULE_EXPR_CHAIN_AND: number = RULE_FLAG.CHAIN_AND
export const CL_RULE_EXPR_CHAIN_GROUP_OR: number = RULE_FLAG.GROUP_OR

/** Bytes before masks and values in the original's memory. */
const HEADER_BYTES = 8
const BYTES_PER_WORD = 8

const LIBRARY = new ClLibrary('RULE')

/** An element of so many words. */
export function clRuleExprAllocate(length: number, out: ClOut<ClRuleExprT | undefined>): ClRcT {
  return LIBRARY.get(out, () => new RuleExpression(length))
}

/** Takes the elements of a rule apart; the handle becomes null. */
export function clRuleExprDeallocate(rule: ClOut<ClRuleExprT | null>): ClRcT {
  return LIBRARY.run(() => {
    const elements = elementsOf(given('rule', given('rule', rule).value))
    for (const element of elements) element.next = undefined
    rule.value = null
  })
}

/** `appendRule`. */
export function clRuleExprAppend(rule: ClRuleExprT, tail: ClRuleExprT): ClRcT {
  return LIBRARY.run(() => appendRule(given('rule', rule), given('tail', tail)))
}

/** `duplicateRule`. */
export function clRuleExprDuplicate(rule: ClRuleExprT, out: ClOut<ClRuleExprT | undefined>): ClRcT {
  return LIBRARY.get(out, () => duplicateRule(given('rule', rule)))
}

/** Whether the rule is true of the first `length` words. No rule: true; no data: false. */
export function clRuleExprEvaluate(
  rule: ClRuleExprT | null,
  data: Uint32Array | null,
  length: number,
): boolean {
  return evaluateRule(rule ?? undefined, data?.subarray(0, Math.max(0, length)))
}

/** `evaluateDouble`. */
export function clRuleDoubleExprEvaluate(
  left: ClRuleExprT | null,
  right: ClRuleExprT | null,
): boolean {
  return evaluateDouble(left ?? undefined, right ?? undefined)
}

/** `localizeRule`. */
export function clRuleExprLocalConvert(rule: ClRuleExprT): ClRcT {
  return LIBRARY.run(() => localizeRule(given('rule', rule)))
}

/** `convertRule`: every element. */
export function clRuleExprConvert(rule: ClRuleExprT): ClRcT {
  return LIBRARY.run(() => convertRule(given('rule', rule)))
}

/** Sets the flags of an element. */
export function clRuleExprFlagsSet(rule: ClRuleExprT, flags: number): ClRcT {
  return LIBRARY.run(() => void (given('rule', rule).flags = flags))
}

/** The flags of an element. */
export function clRuleExprFlagsGet(rule: ClRuleExprT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => given('rule', rule).flags)
}

/** Sets the offset of an element. */
export function clRuleExprOffsetSet(rule: ClRuleExprT, offset: number): ClRcT {
  return LIBRARY.run(() => void (given('rule', rule).offset = offset))
}

/** The offset of an element. */
export function clRuleExprOffsetGet(rule: ClRuleExprT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => given('rule', rule).offset)
}

/** Sets the mask for a word of the data, counted from its start. */
export function clRuleExprMaskSet(rule: ClRuleExprT, word: number, mask: number): ClRcT {
  return LIBRARY.run(() => void (given('rule', rule).mask[rule.indexOf(word)] = mask))
}

/** The mask for a word of the data, counted from its start. */
export function clRuleExprMaskGet(rule: ClRuleExprT, word: number, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => given('rule', rule).mask[rule.indexOf(word)])
}

/** Sets the value for a word of the data, counted from its start. */
export function clRuleExprValueSet(rule: ClRuleExprT, word: number, value: number): ClRcT {
  return LIBRARY.run(() => void (given('rule', rule).value[rule.indexOf(word)] = value))
}

/** The value for a word of the data, counted from its start. */
export function clRuleExprValueGet(rule: ClRuleExprT, word: number, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => given('rule', rule).value[rule.indexOf(word)])
}

/** Bytes of all elements in the original: 8 each, and 8 a word; 0 without a rule. */
export function clRuleExprMemLenGet(rule: ClRuleExprT | null): number {
  return elementsOf(rule ?? undefined).reduce(
    (sum, { length }) => sum + HEADER_BYTES + BYTES_PER_WORD * length,
    0,
  )
}

/** `packRule`. */
export function clRuleExprPack(rule: ClRuleExprT | null, out: ClOut<Uint8Array | null>): ClRcT {
  return LIBRARY.run(() => {
    given('out', out).value = rule ? packRule(rule) : null
  })
}

/** `unpackRule`. Neither bytes nor place for a rule: nothing; only one of them: INVALID_PARAMETER. */
export function clRuleExprUnpack(
  bytes: Uint8Array | null,
  out: ClOut<ClRuleExprT | null> | null,
): ClRcT {
  return LIBRARY.run(() => {
    if (!bytes && !out) return
    if (!bytes || !out) {
      throw new SdkError('INVALID_PARAMETER', 'bytes and a place for the rule go together')
    }
    out.value = unpackRule(bytes) ?? null
  })
}

/** Prints a rule on standard output, a line each element. */
export function clRuleExprPrint(rule: ClRuleExprT): ClRcT {
  return LIBRARY.run(() => void process.stdout.write(`${ruleText(given('rule', rule))}\n`))
}
