import { parseDuration, parseSize } from '../options/units.ts'
import { MEASURES } from '../types.ts'
import type { BudgetConfig, Measure, Period, QuotaConfig } from '../types.ts'

interface QuotaEntry {
  readonly rate?: string | undefined
  readonly concurrency?: number | undefined
  readonly budget?: Readonly<Partial<Record<Measure, string | readonly string[] | undefined>>> | undefined
}

const SPANS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3_600e3 }

/** Converts the quota of a validated file. */
export function resolveQuota({ rate, concurrency, budget }: QuotaEntry): QuotaConfig {
  return {
    rate: toRate(rate),
    concurrency,
    budgets: MEASURES.flatMap(measure => toBudgets(measure, budget?.[measure])),
  }
}

/** `60/min`: the units s, sec, second, min, minute, h and hour differ by their first letter. */
function toRate(text: string | undefined): QuotaConfig['rate'] {
  if (text === undefined) return undefined
  const [count = '', span = ''] = text.split('/')
  return { count: Number(count), periodMs: SPANS[span.charAt(0)] ?? Number.NaN }
}

function toBudgets(measure: Measure, value: string | readonly string[] | undefined): BudgetConfig[] {
  const texts = value === undefined ? [] : typeof value === 'string' ? [value] : value
  return texts.map(text => {
    const [amount = '', period = ''] = text.split('/')
    return {
      measure,
      amount: toAmount(measure, amount),
      period: (period === 'min' ? 'minute' : period) as Period,
    }
  })
}

function toAmount(measure: Measure, text: string): number {
  if (measure === 'compute') return parseDuration(text) ?? Number.NaN
  if (measure === 'bytes') return parseSize(text) ?? Number.NaN
  return Number(text)
}
