import type { Interface, MethodSpecs } from '../../../idl/index.ts'

/** The same interface, with other codecs for one method. They have to give the same bytes and values. */
export function withCodecs<M extends MethodSpecs, K extends keyof M>(
  face: Interface<M>,
  name: K,
  change: (method: Interface<M>['methods'][K]) => Interface<M>['methods'][K],
): Interface<M> {
  return { ...face, methods: { ...face.methods, [name]: change(face.methods[name]) } }
}
