// Package webhook delivers events to client systems: durable, signed, retried POSTs in the manner of the Standard
// Webhooks specification (SIG-3.2).
//
// A Delivery is one record of the store, put there by whoever has something to tell, in the very commit in which it
// happens, or before, with the time at which the clock alone would bring it about:
//
//	waiting ──it happened──▶ pending ──2xx──▶ delivered
//	   │                      ▲   │
//	   └── due: Source.Ripen  │   ├── anything else ─▶ pending again, after a longer and longer wait
//	                          │   └── 410, given up, or no address any more ─▶ dead
//	                          └────────── replayed ──────────────────────────────┘
//
//	delivery.go    the record and its states
//	deliveries.go  what an operator sees of them, and the replay
//	dispatcher.go  who claims what is due: a lane for each client, so that a dead receiver holds up no other
//	handle.go      one claimed delivery; send.go its one POST; settings.go the waits between
//	watch.go       how many wait, and for how long
//
// A delivery is told at least once: a process that dies between the POST and the commit sends it again, with the same
// id. In what order deliveries arrive is not promised. The package never follows a redirect, never keeps or logs what a
// receiver answered beyond its status, and never sees a secret other than in the body that its Source gives it.
package webhook
