package signing

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func testPacker(t testing.TB) packer {
	t.Helper()
	p, err := newPacker()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPackRoundTrip(t *testing.T) {
	p := testPacker(t)
	random := make([]byte, 6000)
	_, _ = rand.Read(random)
	large := make([]item, MaxPayloads)
	for i := range large {
		large[i] = item{ID: strings.Repeat("i", i+1), Payload: random[i : i+5000 : i+5000]}
	}
	unlike := make([]item, MaxPayloads)
	for i := range unlike {
		payload := make([]byte, 4<<10)
		_, _ = rand.Read(payload)
		unlike[i] = item{ID: "x", Payload: payload}
	}
	for name, items := range map[string][]item{
		"one":      {{ID: "a", Payload: []byte("b")}},
		"no id":    {{Payload: []byte("certificate")}, {ID: "a", Payload: []byte{0}}},
		"alike":    large,
		"nothing":  nil,
		"unlike":   unlike,
		"any text": {{ID: "ü\x00\n", Payload: []byte("\xff")}},
	} {
		chunks := p.pack(items)
		for _, chunk := range chunks {
			if len(chunk) > chunkSize {
				t.Errorf("%s: a chunk has %d bytes", name, len(chunk))
			}
		}
		got, err := p.unpack(chunks)
		if err != nil || !reflect.DeepEqual(got, items) {
			t.Errorf("%s: comes back as another, %v", name, err)
		}
		if name == "unlike" && len(chunks) < 4 {
			t.Errorf("a megabyte of noise makes %d chunks", len(chunks))
		}
		if name == "alike" && len(bytes.Join(chunks, nil)) > 100<<10 {
			t.Errorf("what is alike takes %d bytes", len(bytes.Join(chunks, nil)))
		}
	}
}

// Damage is an error, never other items, whether they were compressed or not.
func TestUnpackDamage(t *testing.T) {
	p := testPacker(t)
	for _, n := range []int{50, 200} {
		items := []item{{ID: "a", Payload: []byte(strings.Repeat("payload ", n))}, {ID: "b", Payload: []byte("other")}}
		whole := p.pack(items)[0]
		if asIs := whole[0] == asTheyAre; asIs != (n == 50) {
			t.Fatalf("%d bytes: kept as they are: %v", n*8, asIs)
		}
		for i := range whole {
			for _, flip := range []byte{1, 0x80} {
				damaged := bytes.Clone(whole)
				damaged[i] ^= flip
				if got, err := p.unpack([][]byte{damaged}); err == nil && !reflect.DeepEqual(got, items) {
					t.Errorf("a flip of byte %d of %d was not noticed", i, len(whole))
				} else if err != nil && !errors.Is(err, errPacked) {
					t.Errorf("byte %d: %v", i, err)
				}
			}
			if _, err := p.unpack([][]byte{whole[:i]}); i > 0 && err == nil {
				t.Errorf("%d of %d bytes were taken for the whole", i, len(whole))
			}
		}
	}
	for name, plain := range map[string][]byte{
		"a length beyond the end": {9, 'a'},
		"an endless length":       bytes.Repeat([]byte{0xff}, 11),
		"an id without payload":   {1, 'a'},
		"a bomb":                  make([]byte, maxUnpacked+1),
	} {
		if _, err := p.unpack([][]byte{p.zip.EncodeAll(plain, nil)}); !errors.Is(err, errPacked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
