import { CL_EO_USE_THREAD_FOR_RECV } from 'holdfast/cl'

/** The original's `clCompCfg.h`. */
export const COMP_EO_NAME = 'compA_EO'
export const COMP_EO_THREAD_PRIORITY = 'default'
export const COMP_EO_NUM_THREAD = 1
export const COMP_IOC_PORT = 0
/** Size of the client table, and the client id of the component's own services. */
export const COMP_EO_USER_CLIENT_ID = 20
export const COMP_EO_USE_THREAD_MODEL = CL_EO_USE_THREAD_FOR_RECV

export const COMP_EO_BASICLIB = {
  osal: true,
  timer: true,
  buffer: true,
  ioc: true,
  rmd: true,
  eo: true,
  om: true,
  hal: false,
  dbal: false,
} as const

/** There is no object registry, so no COR, and nothing that stands on it. */
export const COMP_EO_CLIENTLIB = {
  cor: false,
  name: true,
  log: true,
  transaction: false,
  na: false,
  debug: true,
  gms: false,
} as const
