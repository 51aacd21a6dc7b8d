// Package keeper looks after the audit log of one node, with the help of the store: the log cannot show by itself that its
// end was cut off, or that all of it was taken away.
//
//	each head ──▶ the store remembers it ──▶ at the next start, and before the next head is remembered:
//	                                           does the log contain it?  yes ─▶ it is as it was, or longer
//	                                                                     no  ─▶ missing, until an operator retires it
//
// The store keeps a record of each node's log, with its last head and the logs that were there before and are missing. A
// store that was restored remembers an older head, which the log contains. What a store on the same machine says is
// worth no more than that machine: root can change both, and only a head that was handed outside tells then.
//
//	register.go  the records in the store
//	keeper.go    the log, and the configurations that use it
//	round.go     what is done after each head, and every minute
//	handed.go    what was handed outside, and so may be removed; retain.go removes it
//	retire.go    what an operator says
package keeper
