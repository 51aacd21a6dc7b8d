//go:build (linux || darwin) && (amd64 || arm64)

package child

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/cryptoki"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// holder holds the module, and between Begin and End a card and its key.
type holder struct {
	module   *cryptoki.Module
	session  *cryptoki.Session // nil: idle
	loggedIn bool
	key      cryptoki.Object
	ways     []way // the first is used; others are tried until something was signed
	proven   bool  // the first way has made a signature
	failed   error // why a signature failed; no other is made then
	eachTime bool
	pin      []byte // only with eachTime
}

// begin opens a session with the chosen card, logs in once, and finds the key of the chosen certificate. A wrong PIN
// is reported, never tried again.
func (h *holder) begin(batch pipe.Batch, pin []byte) (pipe.Ready, error) {
	if err := h.end(); err != nil {
		return pipe.Ready{}, err
	}
	ready, err := h.prepare(batch, pin)
	if err != nil {
		_ = h.end() // the first error is reported
	}
	return ready, err
}

func (h *holder) prepare(batch pipe.Batch, pin []byte) (ready pipe.Ready, err error) {
	token, err := h.module.Token(batch.Slot)
	if err != nil {
		return ready, err
	}
	if token.Serial != batch.Serial || token.Label != batch.Label {
		return ready, removed("the reader holds another card than the chosen one")
	}
	mechanisms, err := h.module.Mechanisms(batch.Slot)
	if err != nil {
		return ready, err
	}
	if h.session, err = h.module.OpenSession(batch.Slot); err != nil {
		return ready, err
	}
	chosen, err := h.chosen(batch.Certificate)
	if err != nil {
		return ready, err
	}
	if err := h.login(token, pin); err != nil {
		return ready, err
	}
	if h.key, err = h.keyOf(chosen); err != nil {
		return ready, err
	}
	return h.readKey(batch.Algorithm, mechanisms, pin)
}

// readKey reads what the key may be used for, and how.
func (h *holder) readKey(algorithm string, mechanisms []cryptoki.Mechanism, pin []byte) (ready pipe.Ready, err error) {
	signs, err := h.session.Flag(h.key, cryptoki.Sign, true)
	if err != nil {
		return ready, err
	}
	if !signs {
		return ready, unfit("the certificate's key is not for signing (CKA_SIGN is false)")
	}
	allowed, err := h.session.Allowed(h.key)
	if err != nil {
		return ready, err
	}
	if h.ways = waysTo(algorithm, mechanisms, allowed); len(h.ways) == 0 {
		return ready, unfit("neither card nor key has a mechanism for " + algorithm)
	}
	if h.eachTime, err = h.session.Flag(h.key, cryptoki.AlwaysAuthenticate, false); err != nil {
		return ready, err
	}
	if h.eachTime {
		h.pin = bytes.Clone(pin)
	}
	return pipe.Ready{Mechanism: h.ways[0].mechanism.String(), EachTime: h.eachTime}, nil
}

// chosen finds the chosen certificate on the card now in the reader.
func (h *holder) chosen(der []byte) (pipe.Certificate, error) {
	all, err := certificates(h.session)
	if err != nil {
		return pipe.Certificate{}, err
	}
	for _, certificate := range all {
		if bytes.Equal(certificate.DER, der) {
			return certificate, nil
		}
	}
	return pipe.Certificate{}, removed("the chosen certificate is no longer on the card")
}

func (h *holder) login(token cryptoki.Token, pin []byte) error {
	if token.Flags&cryptoki.LoginRequired == 0 {
		return nil
	}
	err := h.session.Login(cryptoki.CardHolder, pin)
	if errors.Is(err, &cryptoki.Error{Return: cryptoki.UserAlreadyLoggedIn}) {
		// Another login was left open. This PIN was not checked, so nothing counts against it.
		if err = h.session.Logout(); err == nil {
			err = h.session.Login(cryptoki.CardHolder, pin)
		}
	}
	h.loggedIn = err == nil
	return err
}

// keyOf finds the private key of a certificate: by its id, or otherwise by its modulus. A key with another modulus
// than the certificate's is never used.
func (h *holder) keyOf(certificate pipe.Certificate) (cryptoki.Object, error) {
	leaf, err := x509.ParseCertificate(certificate.DER)
	if err != nil {
		return 0, unfit("the certificate cannot be read")
	}
	public, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	if !isRSA {
		return 0, unfit("the certificate's key is not RSA")
	}
	keys, err := h.session.Find(
		cryptoki.Number(cryptoki.Class, cryptoki.ClassPrivateKey), cryptoki.Number(cryptoki.KeyType, cryptoki.KeyRSA))
	if err != nil {
		return 0, err
	}
	var byID cryptoki.Object
	named := 0
	for _, key := range keys {
		modulus, err := h.session.Attribute(key, cryptoki.Modulus)
		if err != nil {
			return 0, err
		}
		if len(modulus) > 0 {
			if bytes.Equal(bytes.TrimLeft(modulus, "\x00"), public.N.Bytes()) {
				return key, nil
			}
			continue
		}
		id, err := h.session.Attribute(key, cryptoki.ID)
		if err != nil {
			return 0, err
		}
		if len(id) > 0 && bytes.Equal(id, certificate.ID) {
			byID = key
			named++
		}
	}
	if named != 1 {
		return 0, unfit("the card has no private key for the certificate")
	}
	return byID, nil
}

// sign makes one signature. After a failure it makes no other, because the agent may have sent the next text already.
func (h *holder) sign(text []byte) ([]byte, error) {
	switch {
	case h.session == nil:
		return nil, errors.New("sign request without a begin")
	case h.failed != nil:
		return nil, h.failed
	}
	for {
		signature, err := h.signBy(h.ways[0], text)
		if err == nil {
			h.proven = true
			return signature, nil
		}
		if h.proven || len(h.ways) == 1 || !another(err) {
			h.failed = err
			return nil, err
		}
		h.ways = h.ways[1:]
	}
}

func (h *holder) signBy(w way, text []byte) ([]byte, error) {
	data, err := w.prepare(text)
	if err != nil {
		return nil, err
	}
	if err := h.session.SignInit(w.mechanism, h.key); err != nil {
		return nil, err
	}
	if h.eachTime {
		if err := h.session.Login(cryptoki.ContextSpecific, h.pin); err != nil {
			return nil, err
		}
	}
	return h.session.Sign(data)
}

// end logs out and wipes the PIN. Without a batch it does nothing.
func (h *holder) end() error {
	clear(h.pin)
	session, loggedIn := h.session, h.loggedIn
	*h = holder{module: h.module}
	if session == nil {
		return nil
	}
	var err error
	if loggedIn {
		err = session.Logout()
	}
	return errors.Join(err, session.Close())
}
