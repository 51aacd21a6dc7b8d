package bars

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// Message is what the gateways read of a message in XML.
type Message struct {
	Root     string   // the root element, such as Bundle
	Kind     string   // a Bundle's type
	ID       string   // a Bundle's id
	HasFirst bool     // whether the first entry is a MessageHeader
	HeaderID string   // its id
	Reasons  []string // the codes of its reason
}

// errElements says that a document is nested too deeply to be a message.
var errElements = errors.New("the document is nested too deeply")

const maxDepth = 64

// ReadXML reads a resource in XML. It refuses what is not well-formed.
func ReadXML(text []byte) (*Message, error) {
	decoder := xml.NewDecoder(bytes.NewReader(text)) //nolint:gosec // tokens only, of a bounded text, into bounded fields
	var m Message
	var path []string
	entries := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if m.Root == "" {
				return nil, io.ErrUnexpectedEOF
			}
			return &m, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if path = append(path, token.Name.Local); len(path) > maxDepth {
				return nil, errElements
			}
			if len(path) == 1 {
				m.Root = path[0]
			}
			if len(path) == 2 && path[1] == "entry" {
				entries++
			}
			m.note(path, entries, valueOf(token))
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

// note keeps what matters of an element.
func (m *Message) note(path []string, entries int, value string) {
	if path[0] != "Bundle" {
		return
	}
	switch len(path) {
	case 1:
		return
	case 2:
		switch path[1] {
		case "type":
			m.Kind = value
		case "id":
			m.ID = value
		}
		return
	case 3:
		return
	}
	if path[1] != "entry" || path[2] != "resource" || path[3] != "MessageHeader" {
		return
	}
	switch {
	case len(path) == 4:
		m.HasFirst = m.HasFirst || entries == 1
	case len(path) == 5 && path[4] == "id":
		m.HeaderID = value
	case len(path) == 7 && path[4] == "reason" && path[5] == "coding" && path[6] == "code":
		m.Reasons = append(m.Reasons, value)
	}
}

func valueOf(element xml.StartElement) string {
	for _, attribute := range element.Attr {
		if attribute.Name.Local == "value" {
			return attribute.Value
		}
	}
	return ""
}

// xmlResource returns as much of a resource in XML as the sandbox looks at.
func xmlResource(text []byte) (object, *Outcome) {
	read, err := ReadXML(text)
	if err != nil {
		return nil, notUnderstood.With("the body is not XML: %v", err)
	}
	made := object{"resourceType": read.Root}
	if read.Root == "Bundle" {
		made["type"], made["id"] = read.Kind, read.ID
		if read.HasFirst {
			made["entry"] = []any{object{"resource": object{"resourceType": "MessageHeader", "id": read.HeaderID}}}
		}
	}
	return made, nil
}

// emptyMessage stands for a message without a body.
func emptyMessage() object {
	return object{"resourceType": "Bundle", "type": "message", "entry": []any{object{"resource": object{"resourceType": "MessageHeader"}}}}
}
