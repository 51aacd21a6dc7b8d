// Package crl reads certificate revocation lists as they are published in the wild: in DER (RFC 5280 §4.2.1.13), and also in
// PEM, compressed with gzip, with a newline at the end, and of version 1.
//
//	DER    takes the wrapping off
//	Parse  parses a list of version 1 or 2
//
// What is no list is named for what it is. The package fetches nothing and trusts nothing: the caller verifies the signature.
package crl

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	wire "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/seed-dd2befc3/countersign/textfile"
)

// pemType is the type of a list's PEM block (RFC 7468 §6).
const pemType = "X509 CRL"

// DER returns the list in data as DER, which has at most limit bytes after decompression. It takes off gzip, PEM and white
// space behind the list. Everything else is an error that names what data is.
func DER(data []byte, limit int64) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		var err error
		if data, err = decompress(data, limit); err != nil {
			return nil, err
		}
	}
	if len(data) == 0 {
		return nil, errors.New("not a revocation list: empty")
	}
	if data[0] != 0x30 { // SEQUENCE, with which every DER list begins; it is the digit 0 in a text
		return fromText(data)
	}
	return bare(data)
}

// bare takes off what stands behind a list.
func bare(data []byte) ([]byte, error) {
	input := cryptobyte.String(data)
	var list cryptobyte.String
	if !input.ReadASN1Element(&list, wire.SEQUENCE) {
		return nil, errors.New("not a revocation list in DER, or cut off")
	}
	if behind := bytes.Trim(input, " \t\r\n"); len(behind) > 0 {
		return nil, fmt.Errorf("revocation list is followed by %d bytes that do not belong to it", len(input))
	}
	return list, nil
}

func decompress(data []byte, limit int64) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("not a revocation list: begins like a gzip file and is none")
	}
	plain, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, errors.New("revocation list in a gzip file that is damaged or cut off")
	}
	if int64(len(plain)) > limit {
		return nil, fmt.Errorf("revocation list has more than %d bytes after decompression", limit)
	}
	return plain, nil
}

// fromText reads a list in PEM, or names what the text is.
func fromText(data []byte) ([]byte, error) {
	blocks, err := textfile.Blocks(data)
	if err != nil {
		return nil, fmt.Errorf("not a revocation list: %w", err)
	}
	switch {
	case len(blocks) > 1:
		return nil, fmt.Errorf("has %d PEM blocks, want the one of a single revocation list", len(blocks))
	case len(blocks) == 1 && blocks[0].Type != pemType:
		return nil, fmt.Errorf("PEM block is %.40q, want %s", blocks[0].Type, pemType)
	case len(blocks) == 1:
		return bare(blocks[0].Bytes)
	}
	text, err := textfile.UTF8(data)
	if err != nil {
		return nil, fmt.Errorf("not a revocation list: %w", err)
	}
	text = bytes.TrimSpace(text)
	switch {
	case bytes.HasPrefix(text, []byte("<")):
		return nil, errors.New("not a revocation list but a page (HTML or XML), as a portal or a proxy sends it")
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		return nil, errors.New("not a revocation list but JSON")
	case bytes.HasPrefix(text, []byte("PK\x03\x04")):
		return nil, errors.New("not a revocation list but a ZIP file")
	case isBase64(text):
		return nil, errors.New("revocation list in base64 without PEM's first and last line: publish it in DER")
	}
	return nil, errors.New("not a revocation list in DER or PEM")
}

// isBase64 reports whether a text is base64 of a SEQUENCE.
func isBase64(text []byte) bool {
	der, err := base64.StdEncoding.DecodeString(string(text))
	return err == nil && len(der) > 1 && der[0] == 0x30
}

// Parse parses a list in DER of version 1 or 2. Version 1 has no extensions: no number and no reasons. The signature is not
// verified; CheckSignatureFrom of the result does that, for both versions.
func Parse(der []byte) (*x509.RevocationList, error) {
	input := cryptobyte.String(der)
	var whole, tbs, tbsElement cryptobyte.String
	if !input.ReadASN1(&whole, wire.SEQUENCE) || !input.Empty() || !whole.ReadASN1Element(&tbsElement, wire.SEQUENCE) {
		return nil, errors.New("not a revocation list in DER")
	}
	if rest := tbsElement; !rest.ReadASN1(&tbs, wire.SEQUENCE) {
		return nil, errors.New("not a revocation list in DER")
	}
	if tbs.PeekASN1Tag(wire.INTEGER) {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, errors.New("not a revocation list in DER")
		}
		return list, nil
	}
	// crypto/x509 parses version 2 only, which is version 1 with its number in front and room for extensions at the end.
	if hasExtensions(tbs) {
		return nil, errors.New("revocation list of version 1 has extensions, which belong to version 2")
	}
	var second cryptobyte.Builder
	second.AddASN1(wire.SEQUENCE, func(outer *cryptobyte.Builder) {
		outer.AddASN1(wire.SEQUENCE, func(inner *cryptobyte.Builder) {
			inner.AddASN1Int64(1)
			inner.AddBytes(tbs)
		})
		outer.AddBytes(whole)
	})
	converted, err := second.Bytes()
	if err != nil {
		return nil, errors.New("not a revocation list in DER")
	}
	list, err := x509.ParseRevocationList(converted)
	if err != nil {
		return nil, errors.New("not a revocation list in DER")
	}
	list.Raw, list.RawTBSRevocationList = der, tbsElement // what was signed
	return list, nil
}

// hasExtensions reports whether the content of a list to be signed ends with extensions.
func hasExtensions(tbs cryptobyte.String) bool {
	for !tbs.Empty() {
		var element cryptobyte.String
		var tag wire.Tag
		if !tbs.ReadAnyASN1(&element, &tag) {
			return false
		}
		if tag == wire.Tag(0).ContextSpecific().Constructed() {
			return true
		}
	}
	return false
}
