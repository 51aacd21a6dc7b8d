package prescription

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

const xmldsig = "http://www.w3.org/2000/09/xmldsig#"

// signatureElement is the XML signature in a Provenance (EPS-4.2).
type signatureElement struct {
	info         []byte // SignedInfo in canonical form, without white space between elements
	value        string // base64
	certificates []string
}

// complete reports whether all parts of a signature are present (EPS-4.5).
func (s *signatureElement) complete() bool {
	return len(s.info) > 0 && s.value != "" && len(s.certificates) > 0
}

// maxElements bounds the nesting of elements. A signature needs five levels.
const maxElements = 8

var errXML = errors.New("not an XML signature")

// readSignature reads a signature's data: XML in base64. White space between elements is dropped, so SignedInfo is
// restored even if it was indented after signing (EPS-4.2).
func readSignature(data string) (*signatureElement, error) {
	document, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, err
	}
	decoder := xml.NewDecoder(bytes.NewReader(document))
	read := &signatureElement{}
	var path []string
	var text []byte // of the current element
	leaf := false   // whether the current element has no child elements so far
	for {
		token, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF):
			return read, nil
		case err != nil:
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(path) == 0 && token.Name.Local != "Signature" || token.Name.Space != xmldsig || !isBlank(text) || len(path) == maxElements {
				return nil, errXML
			}
			path, text, leaf = append(path, token.Name.Local), text[:0], true
			read.open(path, token.Attr)
		case xml.CharData:
			text = append(text, token...)
		case xml.EndElement:
			if !leaf && !isBlank(text) {
				return nil, errXML
			}
			read.close(strings.Join(path, "/"), string(text))
			path, text, leaf = path[:len(path)-1], text[:0], false
		case xml.Directive:
			return nil, errXML
		}
	}
}

func isBlank(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }

// open copies the start tags of SignedInfo and of the elements in it.
func (s *signatureElement) open(path []string, attributes []xml.Attr) {
	if len(path) < 2 || path[1] != "SignedInfo" {
		return
	}
	s.info = append(s.info, "<"+path[len(path)-1]...)
	if len(path) == 2 {
		s.info = append(s.info, ` xmlns="`+xmldsig+`"`...)
	}
	slices.SortFunc(attributes, func(a, b xml.Attr) int { return strings.Compare(a.Name.Local, b.Name.Local) })
	for _, a := range attributes {
		if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
			s.info = append(s.info, " "+a.Name.Local+`="`+escapeAttribute.Replace(a.Value)+`"`...)
		}
	}
	s.info = append(s.info, '>')
}

// close takes the text of an element, and copies text and end tags of SignedInfo and of the elements in it.
func (s *signatureElement) close(path, text string) {
	switch {
	case path == "Signature/SignatureValue" && s.value == "":
		s.value = strings.Join(strings.Fields(text), "")
	case path == "Signature/KeyInfo/X509Data/X509Certificate" && strings.TrimSpace(text) != "":
		s.certificates = append(s.certificates, strings.TrimSpace(text))
	case path == "Signature/SignedInfo" || strings.HasPrefix(path, "Signature/SignedInfo/"):
		if strings.TrimSpace(text) != "" {
			s.info = append(s.info, escapeText.Replace(text)...)
		}
		s.info = append(s.info, "</"+path[strings.LastIndexByte(path, '/')+1:]+">"...)
	}
}

// element returns the XML of the signature (EPS-4.2).
func (s *signatureElement) element() []byte {
	return slices.Concat([]byte(`<Signature xmlns="`+xmldsig+`">`), s.info,
		[]byte(`<SignatureValue>`+s.value+`</SignatureValue><KeyInfo><X509Data><X509Certificate>`+
			strings.Join(s.certificates, "")+`</X509Certificate></X509Data></KeyInfo></Signature>`))
}
