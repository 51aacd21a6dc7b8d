package jwks_test

import (
	"crypto/rand"
	"fmt"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// A client mints a token with its private key and publishes the public half; a service verifies the token with it.
func Example() {
	private, err := jwks.GenerateRSA(4096, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	signer, err := jwks.NewSigner("MySupplier-INT-1", private)
	if err != nil {
		fmt.Println(err)
		return
	}
	published, err := signer.PublicSet()
	if err != nil {
		fmt.Println(err)
		return
	}
	compact, err := signer.Mint(map[string]string{"iss": "my-epr"})
	if err != nil {
		fmt.Println(err)
		return
	}

	set, err := jwks.ParseSet(published)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := jwks.Parse([]byte(compact))
	if err != nil {
		fmt.Println(err)
		return
	}
	key, found := set.Key("MySupplier-INT-1")
	fmt.Println(found, token.Verify(key))
	// Output: true <nil>
}
