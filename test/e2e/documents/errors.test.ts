import { describeTypedPages } from './typed-pages.ts'

describeTypedPages('errors')
