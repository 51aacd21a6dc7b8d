package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Who asks for signatures, and of whom.
const (
	clientID = "bench-epr"
	kid      = "bench-epr-1"
	baseURL  = "http://localhost/signing-service" // the audience, wherever the service listens
)

// lifetime is that of the pool's requests. The contract allows 10 minutes, so the services under test are configured
// with clocks that may differ that much more.
const lifetime = 50 * time.Minute

// pool is a file of signing requests of one payload each, all different, for the load generator.
type pool struct {
	make func(n int) []byte // makes the n-th request
	file string
	size int
}

func newPool(k *key, file string) *pool { return &pool{make: k.request, file: file} }

// ensure sees to it that there are at least so many requests.
func (p *pool) ensure(size int) error {
	if size <= p.size {
		return nil
	}
	made := make([][]byte, size-p.size)
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < len(made); i += workers {
				made[i] = p.make(p.size + i)
			}
		})
	}
	all.Wait()
	file, err := os.OpenFile(p.file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	for _, jwt := range made {
		_ = binary.Write(out, binary.BigEndian, uint32(len(jwt))) // Flush tells
		_, _ = out.Write(jwt)
	}
	p.size = size
	return out.Flush()
}

// readPool reads some of the requests of a pool's file.
func readPool(file string, from, count int) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	requests := make([][]byte, 0, count)
	for i := 0; len(requests) < count; i++ {
		if len(data) < 4 {
			return nil, fmt.Errorf("the pool has only %d requests", i)
		}
		length := binary.BigEndian.Uint32(data)
		if i >= from {
			requests = append(requests, data[4:4+length])
		}
		data = data[4+length:]
	}
	return requests, nil
}

// signedInfo is what a prescribing system has signed, with a digest of its own.
const signedInfo = `<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">` +
	`</CanonicalizationMethod><SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></SignatureMethod><Reference>` +
	`<Transforms><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>` +
	`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod><DigestValue>%s</DigestValue></Reference></SignedInfo>`

// request makes the n-th signing request: one payload, signed with RS512.
func (k *key) request(n int) []byte {
	var digest [32]byte
	_, _ = rand.Read(digest[:]) // never fails
	payload := fmt.Sprintf(signedInfo, base64.StdEncoding.EncodeToString(digest[:]))
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": clientID, "sub": fmt.Sprintf("5550%08d", n), "aud": baseURL, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"algorithm": "RS256",
		"payloads":  []map[string]string{{"id": fmt.Sprintf("a1b2c3d4-0000-4000-8000-%012d", n), "payload": base64.StdEncoding.EncodeToString([]byte(payload))}},
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	encode := base64.RawURLEncoding.EncodeToString
	var jwt strings.Builder
	jwt.WriteString(encode([]byte(`{"alg":"RS512","typ":"JWT","kid":"` + kid + `"}`)))
	jwt.WriteByte('.')
	jwt.WriteString(encode(claims))
	signature := k.sign([]byte(jwt.String()))
	jwt.WriteByte('.')
	jwt.WriteString(encode(signature))
	return []byte(jwt.String())
}
