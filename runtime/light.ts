/** The door for the program that becomes a component: it loads what a component needs, and nothing else. */
export { runComponentFile } from './eo/boot.ts'
