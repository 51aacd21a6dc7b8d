// Package pkcs11 is a smartcard.Signer for real cards: it signs through the PKCS#11 module that the card's vendor
// ships (AGT-C).
//
// The module runs in a child process (packages child, cryptoki and pipe), so that it can crash, hang or be killed
// without harm to the gateway. A child serves one job at a time. After a clean end it waits for the next; after any
// trouble it is killed, and the next job gets a fresh one: cards may be taken out and put back at any time.
//
//	look at the readers ──▶ the card of the job's user ──▶ its PIN, asked once ──▶ sign each item ──▶ log out
//	        │                        │                           │                      │
//	     no_card              card_unsuitable,          wrong_pin, cancelled,     card_removed, card_timeout,
//	                             pin_locked                 pin_timeout              card_crashed
//
// A card signs for the user whose id its certificate's common name begins with, up to the first underscore, and
// for nobody else. One certificate is chosen before the PIN is asked for, and signs all of the job or none. A PIN is
// shown to a card once a job: the first wrong one ends the job, so that no job can lock a card. It is wiped after
// use, is never logged, and goes nowhere but into the child.
//
// The package loads no library itself and does not import purego.
package pkcs11
