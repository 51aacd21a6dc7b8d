// Package prescription computes and shows what a prescriber's signature covers. The Electronic Prescription Service (EPS)
// translates a FHIR prescription into fragments of HL7 v3, and the signature is over their digest. The translation is
// fixed, so a program that has the prescription can compute the digest, and one that has the fragments behind a digest
// can show what is signed (EPS-1 to EPS-4).
//
//	              ReadBundle                Check, Translate                  Fragments                client.SignedInfo
//	JSON bundle ─────────────▶ Bundle ───────────────────────▶ Prescription ─────────────▶ fragments ───────────────────▶ payload
//	                             │                                  ▲                         │                             │
//	                             │ Complete                         └──────────── Display ────┴─────────────────────────────┘
//	                             ▼
//	                     signed JSON bundle ──▶ Verify
//
//	bundle.go, fhir.go        the strict reader, and the parts of FHIR that matter
//	checks.go, sameness.go    the rules of $prepare; access.go: the scopes of a token
//	translate.go              bundle to Prescription; also author.go, patient.go, lineitem.go, instructions.go, people.go
//	model.go                  the Prescription
//	fragments.go              Prescription to fragments and back; also itemfragment.go, notation.go
//	canonical.go              characters and white space in canonical XML
//	outcome.go, refusal.go    issues in the words of EPS
//	prepare.go                $prepare as a whole
//	complete.go, verify.go    the signed bundle; also signature.go
//	show.go                   what is shown before signing; display.go and visible.go format it
//
// Display reads fragments only if their digest is the one to be signed, and never sees the bundle. The package gives no
// advice: it does not check doses, interactions or duplicates. It logs nothing, because everything it handles is about
// patients. It does no I/O and keeps no state.
package prescription
