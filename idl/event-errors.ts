import { own } from './error-row.ts'
import { CL_PRIVATE_ERR } from './return-code.ts'

/** Errors of the event service. SAFplus, section 15. */
export const EVENT_ERRORS = {
  CHANNEL_ALREADY_OPENED: own('EVENTS', CL_PRIVATE_ERR.EVENTS.CHANNEL_ALREADY_OPENED, [
    'refused',
    false,
    'the channel is open already with this handle',
    'use that channel, or open it with another handle',
  ]),
  CHANNEL_NOT_OPENED: own('EVENTS', CL_PRIVATE_ERR.EVENTS.CHANNEL_NOT_OPENED, [
    'refused',
    false,
    'the channel was closed, or never opened',
    'open it first',
  ]),
  DUPLICATE_SUBSCRIPTION: own('EVENTS', CL_PRIVATE_ERR.EVENTS.DUPLICATE_SUBSCRIPTION, [
    'refused',
    false,
    'the channel has a subscription with this id',
    'choose another id, or unsubscribe the first',
  ]),
  NOT_OPENED_FOR_SUBSCRIPTION: own('EVENTS', CL_PRIVATE_ERR.EVENTS.NOT_OPENED_FOR_SUBSCRIPTION, [
    'refused',
    false,
    'the channel was opened without the flag SUBSCRIBER',
    'open it with SUBSCRIBER',
  ]),
  NOT_OPENED_FOR_PUBLISH: own('EVENTS', CL_PRIVATE_ERR.EVENTS.NOT_OPENED_FOR_PUBLISH, [
    'refused',
    false,
    'the channel was opened without the flag PUBLISHER',
    'open it with PUBLISHER',
  ]),
} as const
