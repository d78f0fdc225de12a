import type { ExpositionFormat } from '../../src/observe/metrics/exposition.ts'
import type { RunningGateway } from '../../src/gateway/gateway.ts'

/** One sample of a scrape. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** What follows the value: an exemplar. */
  readonly rest: string
}

/** What a scrape says, by the format of the text. */
export class Scrape {
  readonly samples: readonly Sample[]
  readonly text: string

  constructor(text: string) {
    this.text = text
    this.samples = text
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(sampleOf)
  }

  /** The sum of the samples of this name that have these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.of(name, labels).reduce((sum, { value }) => sum + value, 0)
  }

  of(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    return this.samples.filter(
      sample =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
  }
}

export async function scrape(
  { counts: { metrics } }: Pick<RunningGateway, 'counts'>,
  format: ExpositionFormat = 'prometheus',
): Promise<Scrape> {
  if (!metrics) throw new Error('The gateway counts no metrics')
  return new Scrape((await metrics.write(format)).text)
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*?)\})? (-?[\d.e+-]+|N[aA][nN]|[+-]Inf)(?: (# .*))?$/s
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

function sampleOf(line: string): Sample {
  const [, name = '', labels = '', value = '', rest = ''] = SAMPLE.exec(line) ?? []
  if (name === '') throw new Error(`No sample: ${line}`)
  const pairs = [...labels.matchAll(LABEL)].map(([, key = '', text = '']) => [
    key,
    text.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter)),
  ])
  return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value), rest }
}
