// Package prescription knows what a prescriber's signature covers. The Electronic Prescription Service (EPS) has a
// FHIR prescription translated into fragments of HL7 v3, and a signature is over the digest of those. The translation
// is fixed, so whoever has the prescription can compute the digest, and whoever has the fragments behind a digest can
// show what is signed (EPS in docs/contract).
//
//	              ReadBundle                Check, Translate                  Fragments                client.SignedInfo
//	JSON bundle ─────────────▶ Bundle ───────────────────────▶ Prescription ─────────────▶ fragments ───────────────────▶ payload
//	                             │                                  ▲                         │
//	                             │ Complete                         └────── ReadFragments ────┘
//	                             ▼
//	                     signed JSON bundle ──▶ Verify
//
//	bundle.go, fhir.go        reading a bundle strictly, and what of it matters
//	checks.go, sameness.go    what $prepare refuses; access.go by the scopes of a token
//	translate.go              from bundle to Prescription: author.go, patient.go, lineitem.go, instructions.go, people.go
//	model.go                  the Prescription, which is all that is signed
//	fragments.go              its fragments, written and read by the same description: itemfragment.go, notation.go
//	canonical.go              what becomes of characters in XML
//	outcome.go, refusal.go    what is wrong, in the words of EPS
//	prepare.go                the whole of $prepare
//
// Only a Prescription is ever shown, and only one that was read from fragments whose digest was compared: never the
// bundle beside them. Nothing here gives advice: no dose, interaction or duplicate is checked. Nothing is logged, for
// all of it is about patients. The package does no I/O and keeps no state.
package prescription
