//go:build (linux || darwin) && (amd64 || arm64)

package child

import (
	"errors"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/cryptoki"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// list lists every reader and what its card shows without a PIN. An unreadable card does not hide the others.
func (h *holder) list() (pipe.Listing, error) {
	slots, err := h.module.Slots()
	if err != nil {
		return pipe.Listing{}, err
	}
	listing := pipe.Listing{Slots: []pipe.Slot{}}
	for _, slot := range slots {
		shown := pipe.Slot{ID: slot.ID, Reader: slot.Description}
		if slot.Present {
			card, err := h.card(slot.ID)
			switch {
			case errors.Is(err, errBlank) || errors.Is(err, &cryptoki.Error{Return: cryptoki.TokenNotPresent}):
			case err != nil:
				shown.Trouble = err.Error()
			default:
				shown.Card = card
			}
		}
		listing.Slots = append(listing.Slots, shown)
	}
	return listing, nil
}

// errBlank is the error for an uninitialised card, such as the free slot SoftHSM2 always shows.
var errBlank = errors.New("the card is blank")

func (h *holder) card(slot uint64) (*pipe.Card, error) {
	token, err := h.module.Token(slot)
	if err != nil {
		return nil, err
	}
	if token.Flags&cryptoki.Initialised == 0 {
		return nil, errBlank
	}
	mechanisms, err := h.module.Mechanisms(slot)
	if err != nil {
		return nil, err
	}
	session, err := h.module.OpenSession(slot)
	if err != nil {
		return nil, err
	}
	defer session.Close() //nolint:errcheck // //nolint:errcheck // a read-only session
	certificates, err := certificates(session)
	if err != nil {
		return nil, err
	}
	return &pipe.Card{
		Label: token.Label, Manufacturer: token.Manufacturer, Model: token.Model, Serial: token.Serial,
		PIN: standing(token.Flags), Algorithms: algorithms(mechanisms), Certificates: certificates,
	}, nil
}

func standing(flags cryptoki.TokenFlags) pipe.PIN {
	return pipe.PIN{
		Needed: flags&cryptoki.LoginRequired != 0, Set: flags&cryptoki.PINInitialized != 0,
		Pad: flags&cryptoki.ProtectedPath != 0, Low: flags&cryptoki.PINCountLow != 0,
		FinalTry: flags&cryptoki.PINFinalTry != 0, Locked: flags&cryptoki.PINIsLocked != 0,
		MustAlter: flags&cryptoki.PINToBeChanged != 0,
	}
}

// certificates returns the X.509 certificates the session can see.
func certificates(session *cryptoki.Session) ([]pipe.Certificate, error) {
	objects, err := session.Find(
		cryptoki.Number(cryptoki.Class, cryptoki.ClassCertificate), cryptoki.Number(cryptoki.CertificateType, cryptoki.CertificateX509))
	if err != nil {
		return nil, err
	}
	found := []pipe.Certificate{}
	for _, object := range objects {
		der, err := session.Attribute(object, cryptoki.Value)
		if err != nil {
			return nil, err
		}
		id, err := session.Attribute(object, cryptoki.ID)
		if err != nil {
			return nil, err
		}
		if len(der) > 0 {
			found = append(found, pipe.Certificate{ID: id, DER: der})
		}
	}
	return found, nil
}
