export type {
  Backplane,
  BackplaneEvent,
  Leader,
  Member,
  MembershipView,
  ProcessIdentity,
  Store,
  StoreEntry,
} from './backplane.ts'
