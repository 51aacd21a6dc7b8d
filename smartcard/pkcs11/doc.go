// Package pkcs11 is a smartcard.Signer for real cards: it signs through the PKCS#11 module of the card's vendor
// (AGT-C).
//
// The module runs in a child process (packages child, cryptoki and pipe), so that it can crash, hang or be killed
// without harming the gateway. A child serves one job at a time. After a clean end it waits for the next job; after
// any failure it is killed and the next job gets a fresh one. Cards may be removed and inserted at any time.
//
//	look at the readers ──▶ the card of the job's user ──▶ its PIN, asked once ──▶ sign each item ──▶ log out
//	        │                        │                           │                      │
//	     no_card              card_unsuitable,          wrong_pin, cancelled,     card_removed, card_timeout,
//	                             pin_locked                 pin_timeout              card_crashed
//
// A card signs only for the user whose id is its certificate's common name up to the first underscore. One
// certificate is chosen before the PIN is asked for, and signs all of the job or none. A PIN is presented to a card
// once per job: a wrong one ends the job, so that no job can lock a card. It is wiped after use, never logged, and
// given only to the child.
//
// The package loads no library itself and does not import purego.
package pkcs11
