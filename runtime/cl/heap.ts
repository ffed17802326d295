import { CL_OK, type ClRcT } from '../../idl/index.ts'
import { Heap, type HeapStatistics } from '../basic/heap.ts'
import { ClLibrary } from './library.ts'
import type { ClOut } from './process.ts'

/** The only mode: the memory of Node.js. SAFplus, section 20.2. */
export const CL_HEAP_NATIVE_MODE = 1

const LIBRARY = new ClLibrary('HEAP')
/** The heap of the original is one a process. */
const HEAP = new Heap()

/** INITIALIZED the second time. */
export function clHeapLibInitialize(): ClRcT {
  return LIBRARY.initialize()
}

/** Until it is initialised again, everything answers NOT_INITIALIZED. */
export function clHeapLibFinalize(): ClRcT {
  return LIBRARY.finalize()
}

/** `Heap.allocate`; null where that is refused. */
export function clHeapAllocate(size: number): Uint8Array | null {
  return allocated(() => HEAP.allocate(size))
}

/** `count` times `size` bytes, all 0; null where that is refused. */
export function clHeapCalloc(count: number, size: number): Uint8Array | null {
  return allocated(() => HEAP.allocate(count * size))
}

/** `Heap.reallocate`; null where that is refused, and the old memory stays. */
export function clHeapRealloc(memory: Uint8Array | null, size: number): Uint8Array | null {
  return allocated(() => HEAP.reallocate(memory, size))
}

/** `Heap.free`. */
export function clHeapFree(memory: Uint8Array | null): ClRcT {
  return LIBRARY.run(() => HEAP.free(memory))
}

/** Always `CL_HEAP_NATIVE_MODE`. */
export function clHeapModeGet(out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => CL_HEAP_NATIVE_MODE)
}

/** `Heap.statistics`. */
export function clHeapStatsGet(out: ClOut<HeapStatistics | undefined>): ClRcT {
  return LIBRARY.get(out, () => HEAP.statistics())
}

function allocated(step: () => Uint8Array): Uint8Array | null {
  let memory: Uint8Array | null = null
  const rc = LIBRARY.run(() => void (memory = step()))
  return rc === CL_OK ? memory : null
}
