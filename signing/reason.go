package signing

import (
	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// Reason says why a session is not signed: a stable code, and what the person is told. Retry says that the
// same session can be tried again.
type Reason struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Text  string `json:"text"`
	Retry bool   `json:"retry"`

	declined []string // the ids of the items that something is wrong with
}

// Codes of reasons that do not come from the agent.
const (
	reasonInterrupted      = "interrupted"
	reasonCancelled        = "cancelled_by_person"
	reasonClosed           = "page_closed"
	reasonDeclined         = client.ReasonDeclined
	reasonExpired          = "expired"
	reasonWrongUser        = client.ReasonWrongUser
	reasonLevel            = client.ReasonInsufficientLevel
	reasonSignInDenied     = client.ReasonAccessDenied
	reasonSignInFailed     = client.ReasonSignInFailed
	reasonTooManyTries     = "too_many_tries"
	reasonNoAgent          = "no_agent"
	reasonAudit            = "audit"
	reasonSignature        = "signature_invalid"
	reasonCertUnreadable   = string(certificates.Unreadable)
	reasonCertUntrusted    = string(certificates.Untrusted)
	reasonCertExpired      = string(certificates.Expired)
	reasonCertNotYet       = string(certificates.NotYetValid)
	reasonCertNotForSigner = string(certificates.NotForSigning)
	reasonCertKey          = string(certificates.KeyRefused)
	reasonCertUser         = string(certificates.OtherUser)
	reasonCertSHA1         = string(certificates.SHA1)
	reasonCertIssuerTime   = string(certificates.IssuerExpired)
	reasonCertRevoked      = string(certificates.Revoked)
	reasonCertIssuerGone   = string(certificates.IssuerRevoked)
	reasonCertUnchecked    = string(certificates.Unchecked)
)

// reasons holds every sentence a person can meet. What only an operator needs is in the log.
var reasons = map[string]Reason{
	reasonInterrupted: {Title: "Signing was interrupted", Retry: true,
		Text: "The service stopped while your card was signing. Nothing was kept of it. Try again."},
	reasonCancelled: {Title: "You cancelled this request",
		Text: "Nothing was signed. Start again from the system that sent you here if you want to sign after all."},
	reasonDeclined: {Title: "You gave this request back",
		Text: "Nothing was signed. The system that sent you here learns which prescriptions you marked, and can send you the others again."},
	reasonExpired: {Title: "This request is too old",
		Text: "It was not signed in time, so nothing was signed. Start again from the system that sent you here."},
	reasonWrongUser: {Title: "Another person signed in", Retry: true,
		Text: "The request is for one person, and another one signed in. Nothing was signed."},
	reasonLevel: {Title: "The sign-in was not strong enough", Retry: true,
		Text: "The right person signed in, but not in a way that makes sure enough who they are. Nothing was signed."},
	reasonSignInDenied: {Title: "The sign-in was refused", Retry: true,
		Text: "The person was asked to sign in, and did not want to. Nothing was signed."},
	reasonSignInFailed: {Title: "The sign-in did not work", Retry: true,
		Text: "What came back from the sign-in could not be used, so nobody is signed in. Nothing was signed."},
	reasonClosed: {Title: "The page was closed", Retry: true,
		Text: "It was closed or loaded again while your smartcard was to sign, so nothing was kept of it. If a window still asks for your PIN, close it, then try again."},
	reasonTooManyTries: {Title: "Signing did not work",
		Text: "It was tried too often without success. Nothing was signed. Start again from the system that sent you here, and ask your service desk if it goes wrong again."},
	reasonNoAgent: {Title: "No smartcard service is set up for you",
		Text: "This site has no smartcard service for your user. Nothing was signed. Ask your service desk to add you."},
	reasonAudit: {Title: "Signing could not be recorded", Retry: true,
		Text: "The service must keep a record of what is signed, and cannot at the moment. Nothing was handed over. Wait a minute and try again; if it stays like this, tell your service desk."},
	reasonSignature: {Title: "A signature was not right",
		Text: "The smartcard service returned a signature that does not fit what was to be signed. Nothing was handed over. Tell your service desk before you try again."},
	reasonCertUnreadable: {Title: "The card's certificate cannot be read",
		Text: "The smartcard service returned something that is not a certificate. Nothing was handed over. Tell your service desk."},
	reasonCertUntrusted: {Title: "The card is not from an accepted issuer",
		Text: "The certificate on the card was not issued by an authority that this service accepts. Nothing was handed over. Use your NHS smartcard, or ask your service desk."},
	reasonCertExpired: {Title: "The card's certificate has expired",
		Text: "Nothing was handed over. Renew the certificate on your smartcard, then start again from the system that sent you here."},
	reasonCertNotYet: {Title: "The card's certificate is not valid yet",
		Text: "Nothing was handed over. Check with your service desk when your smartcard becomes valid, and that the clock of this computer is right."},
	reasonCertNotForSigner: {Title: "The card's certificate is not for signing",
		Text: "The certificate may not be used for signatures. Nothing was handed over. Ask your service desk for a smartcard with a signing certificate."},
	reasonCertKey: {Title: "The card's key is not accepted",
		Text: "The key on the card is of a kind or size that this service does not accept. Nothing was handed over. Ask your service desk for a newer smartcard."},
	reasonCertUser: {Title: "This is someone else's card",
		Text: "The request is for another user than the one the card belongs to. Nothing was handed over. Sign with your own card: start again from the system that sent you here."},
	reasonCertSHA1: {Title: "The card's certificate is signed in an outdated way",
		Text: "It is signed with SHA-1, which this service does not accept. Nothing was handed over. Ask your service desk for a newer smartcard."},
	reasonCertIssuerTime: {Title: "The authority behind this card has expired",
		Text: "The certificate of the authority that issued your card is not valid at this time. Nothing was handed over. Tell your service desk; a newer smartcard may be needed."},
	reasonCertRevoked: {Title: "The card's certificate has been revoked",
		Text: "Your card may not be used to sign any more. Nothing was handed over. Ask your service desk for a new smartcard, and tell them if you did not expect this."},
	reasonCertIssuerGone: {Title: "The authority behind this card has been revoked",
		Text: "Nothing that it issued is accepted any more, your card included. Nothing was handed over. Tell your service desk."},
	reasonCertUnchecked: {Title: "Your card could not be checked", Retry: true,
		Text: "The service could not find out whether your card has been revoked. Nothing was handed over. Wait a minute and try again; if it stays like this, tell your service desk."},

	smartcard.CodeNoCard: {Title: "No smartcard found", Retry: true,
		Text: "Put your smartcard into the reader, wait until its light is steady, and try again."},
	smartcard.CodeWrongPIN: {Title: "The PIN was not right", Retry: true,
		Text: "Try again with the right PIN. After a few wrong PINs the card locks itself; if you are unsure, ask your service desk first."},
	smartcard.CodePINLocked: {Title: "Your smartcard is locked",
		Text: "Too many wrong PINs were entered, so the card takes none any more. Nothing was signed. Ask your service desk to unlock it, then start again from the system that sent you here."},
	smartcard.CodePINTimeout: {Title: "No PIN was entered", Retry: true,
		Text: "Nothing was signed. Try again, and enter your PIN where your smartcard's software asks for it; its window may be behind another one."},
	smartcard.CodeCardRemoved: {Title: "The smartcard was taken out", Retry: true,
		Text: "It left the reader while it was signing, so nothing was kept. Put your smartcard back, leave it in until everything is signed, and try again."},
	smartcard.CodeCardUnfit: {Title: "This smartcard cannot sign this",
		Text: "It is yours, but it has no valid certificate and key that can make this kind of signature. Nothing was signed. Ask your service desk to look at the card."},
	smartcard.CodeCardTimeout: {Title: "The smartcard does not answer", Retry: true,
		Text: "The card or its reader stopped answering, so nothing was kept. Take your smartcard out, put it back, wait until the light is steady, and try again."},
	smartcard.CodeCardCrashed: {Title: "The smartcard's software broke down", Retry: true,
		Text: "Nothing was kept of what it had signed. It starts anew by itself: try again; if it happens twice, tell your service desk."},
	smartcard.CodeCancelled: {Title: "Signing was cancelled at the card", Retry: true,
		Text: "Nothing was signed. Try again when you are ready."},
	smartcard.CodeUnreachable: {Title: "The smartcard service does not answer", Retry: true,
		Text: "Nothing was signed. Wait a minute and try again; if it stays like this, tell your service desk."},
	smartcard.CodeRefused: {Title: "The smartcard service refused the request", Retry: true,
		Text: "Nothing was signed. Your service desk has to look at the set-up of the smartcard service before it can work."},
	smartcard.CodeTimeout: {Title: "The smartcard service took too long", Retry: true,
		Text: "Nothing was signed. Check that no window is asking for your PIN, and try again."},
	smartcard.CodeGarbage: {Title: "The smartcard service broke off", Retry: true,
		Text: "Its answer was incomplete or made no sense, so nothing was kept of it. Try again; if it happens twice, tell your service desk."},
	smartcard.CodeMismatch: {Title: "The smartcard service signed something else",
		Text: "Its answer does not fit what was to be signed. Nothing was handed over. Tell your service desk before you try again."},
}

// reasonOf are the sentences of why a session is not signed, or not yet.
func reasonOf(of *session) *Reason {
	reason := reasonFor(of.Reason)
	reason.declined = of.Declined
	switch {
	case of.Cause != "":
		reason.Text = "The last time: " + reasonFor(of.Cause).Title + ". " + reason.Text
	case of.Reason == reasonCertUser && !of.State.Over():
		reason.Retry = true
		reason.Text = "The card in the reader belongs to another user than the one who is to sign. Nothing was handed over. Put your own card into the reader and try again."
	}
	return reason
}

// reasonFor returns the sentences of a code. A code that the table does not know is a defect of ours and is
// told as an interruption, never as success.
func reasonFor(code string) *Reason {
	reason, known := reasons[code]
	if !known {
		reason = reasons[reasonInterrupted]
	}
	reason.Code = code
	return &reason
}
