package cards_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// pivCard is a smartcard below PC/SC: it speaks APDUs with vpcd, the virtual reader of Debian's vsmartcard, which
// pcscd takes for hardware and OpenSC for a PIV card (NIST SP 800-73). Its key is that of slot 9C, which demands the
// PIN before every signature, and its try counter is a card's own.
type pivCard struct {
	key  *rsa.PrivateKey
	cert []byte // DER
	pin  string

	mu       sync.Mutex
	conn     net.Conn
	gone     chan struct{} // closed when the card has left the reader
	tries    int           // left
	fresh    bool          // the PIN was verified, and nothing signed since
	command  []byte        // of a chain that goes on
	rest     []byte        // of an answer that goes on
	most     int           // bytes of the next part
	signed   int
	pullAt   int // leaves the reader instead of making this signature; 0: never
	verified int // VERIFY commands with a PIN
}

// insert puts the card into the virtual reader.
func (c *pivCard) insert(t *testing.T) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:35963", 10*time.Second)
	if err != nil {
		t.Fatalf("the virtual reader cannot be reached: %v", err)
	}
	gone := make(chan struct{})
	c.mu.Lock()
	c.conn, c.gone, c.fresh, c.command, c.rest = conn, gone, false, nil, nil
	c.mu.Unlock()
	go func() {
		defer close(gone)
		c.serve(conn)
	}()
	t.Cleanup(c.pull)
}

// pull takes the card out.
func (c *pivCard) pull() {
	c.mu.Lock()
	conn, gone := c.conn, c.gone
	c.mu.Unlock()
	conn.Close()
	<-gone
}

// askATR is the message of one byte that asks who the card is; the others are power off, power on and reset.
const askATR = 4

// serve answers vpcd: each message has its length before it, in two bytes.
func (c *pivCard) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		message := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		var answer []byte
		switch {
		case len(message) != 1:
			c.mu.Lock()
			var err error
			answer, err = c.apdu(message)
			c.mu.Unlock()
			if err != nil {
				return
			}
		case message[0] == askATR:
			answer = []byte{0x3B, 0x80, 0x01, 0x81} // T=1, nothing else
		default: // power on, power off, reset
			c.mu.Lock()
			c.fresh = false
			c.mu.Unlock()
			continue
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// Status words.
var (
	good        = []byte{0x90, 0x00}
	notFound    = []byte{0x6A, 0x82}
	unknown     = []byte{0x6D, 0x00}
	needsPIN    = []byte{0x69, 0x82}
	locked      = []byte{0x69, 0x83}
	wrongLength = []byte{0x67, 0x00}
)

var errPulled = errors.New("the card left the reader")

// apdu answers one command, in parts where it is long.
func (c *pivCard) apdu(m []byte) ([]byte, error) {
	if len(m) < 4 {
		return wrongLength, nil
	}
	c.most = 256
	if m[1] == 0xC0 { // GET RESPONSE
		c.expect(m[4:])
		return c.part(c.rest), nil
	}
	var data []byte
	if len(m) > 5 {
		if len(m) < 5+int(m[4]) {
			return wrongLength, nil
		}
		data = m[5 : 5+int(m[4])]
		c.expect(m[5+int(m[4]):])
	}
	c.command = append(c.command, data...)
	if m[0]&0x10 != 0 { // the chain goes on
		return good, nil
	}
	data, c.command = c.command, nil
	switch m[1] {
	case 0xA4: // SELECT
		if !bytes.HasPrefix(data, []byte{0xA0, 0, 0, 3, 8}) {
			return notFound, nil
		}
		return c.part(append(tlv([]byte{0x61}, tlv([]byte{0x4F}, []byte{0, 0, 0x10, 0, 1, 0}), tlv([]byte{0x79}, tlv([]byte{0x4F}, []byte{0xA0, 0, 0, 3, 8}))), good...)), nil
	case 0xCB: // GET DATA
		return c.part(c.object(data)), nil
	case 0x20: // VERIFY
		return c.verify(data), nil
	case 0x87: // GENERAL AUTHENTICATE
		return c.authenticate(m[2], m[3], data)
	}
	return unknown, nil
}

// part is as much of an answer as fits, and how much is left.
func (c *pivCard) part(answer []byte) []byte {
	body := answer[:len(answer)-2]
	if len(body) <= c.most {
		c.rest = good
		return answer
	}
	c.rest = answer[c.most:]
	left := min(len(c.rest)-2, 255)
	return append(bytes.Clone(body[:c.most]), 0x61, byte(left))
}

// expect reads how much of an answer is wanted.
func (c *pivCard) expect(le []byte) {
	if len(le) == 1 && le[0] != 0 {
		c.most = int(le[0])
	}
}

func (c *pivCard) object(ask []byte) []byte {
	switch string(ask) {
	case "\x5C\x03\x5F\xC1\x02": // the card holder's unique identifier
		return append(tlv([]byte{0x53}, tlv([]byte{0x30}, bytes.Repeat([]byte{0x11}, 25)), tlv([]byte{0x34}, []byte("countersign card")),
			tlv([]byte{0x35}, []byte("20401231")), tlv([]byte{0x3E}, nil), tlv([]byte{0xFE}, nil)), good...)
	case "\x5C\x03\x5F\xC1\x0A": // the certificate of 9C
		return append(tlv([]byte{0x53}, tlv([]byte{0x70}, c.cert), tlv([]byte{0x71}, []byte{0}), tlv([]byte{0xFE}, nil)), good...)
	}
	return notFound
}

func (c *pivCard) verify(given []byte) []byte {
	if c.tries == 0 {
		return locked
	}
	if len(given) == 0 { // how many are left?
		if c.fresh {
			return good
		}
		return []byte{0x63, 0xC0 | byte(c.tries)}
	}
	c.verified++
	padded := append([]byte(c.pin), bytes.Repeat([]byte{0xFF}, 8-len(c.pin))...)
	if !bytes.Equal(given, padded) {
		c.fresh = false
		c.tries--
		return []byte{0x63, 0xC0 | byte(c.tries)}
	}
	c.tries, c.fresh = 3, true
	return good
}

// authenticate makes a raw RSA signature of what the host has padded.
func (c *pivCard) authenticate(algorithm, slot byte, template []byte) ([]byte, error) {
	if algorithm != 0x07 || slot != 0x9C {
		return []byte{0x6A, 0x86}, nil
	}
	if !c.fresh {
		return needsPIN, nil
	}
	c.fresh = false
	if len(template) < 256 {
		return wrongLength, nil
	}
	if c.signed++; c.signed == c.pullAt {
		return nil, errPulled
	}
	padded := new(big.Int).SetBytes(template[len(template)-256:])
	signature := new(big.Int).Exp(padded, c.key.D, c.key.N).FillBytes(make([]byte, 256))
	return c.part(append(tlv([]byte{0x7C}, tlv([]byte{0x82}, signature)), good...)), nil
}

// tlv is an element in DER's way.
func tlv(tag []byte, parts ...[]byte) []byte {
	value := bytes.Join(parts, nil)
	length := []byte{byte(len(value))}
	switch n := len(value); {
	case n > 0xFF:
		length = []byte{0x82, byte(n >> 8), byte(n)}
	case n > 0x7F:
		length = []byte{0x81, byte(n)}
	}
	return bytes.Join([][]byte{tag, length, value}, nil)
}
