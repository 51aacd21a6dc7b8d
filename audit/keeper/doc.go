// Package keeper watches over the audit log of one node with the help of the store, because the log alone cannot show that
// its end was cut off or that all of it was removed.
//
//	each head ──▶ the store remembers it ──▶ at the next start, and before the next head is remembered:
//	                                           does the log contain it?  yes ─▶ it is as it was, or longer
//	                                                                     no  ─▶ missing, until an operator retires it
//
// The store keeps a record of each node's log: its last head, and earlier logs that are missing. A restored store remembers
// an older head, which the log contains. A store on the same machine proves no more than the machine itself: root can
// change both, and then only a head handed outside tells.
//
//	register.go  the records in the store
//	keeper.go    the log, and the configurations that use it
//	round.go     what happens after each head and every minute
//	handed.go    what was handed outside and may therefore be removed; retain.go removes it
//	retire.go    what an operator declares
package keeper
