package client_test

import (
	"fmt"
	"net/url"

	"github.com/seed-dd2befc3/countersign/client"
)

// A payload is a SignedInfo that holds the document's digest. The service signs these bytes as they are.
func ExampleSignedInfo() {
	payload, digest, err := client.SignedInfo("RS256", []byte("a document in canonical form"))
	if err != nil {
		fmt.Println(err)
		return
	}
	algorithm, same, ok := client.ParseSignedInfo(payload)
	fmt.Println(len(payload), algorithm, same == digest, ok)
	// Output: 541 RS256 true true
}

// The browser's return is only a hint: trust what Fetch returns.
func ExampleReadReturn() {
	back, err := url.Parse("https://epr.example/signed?token=f523a772-24f2-45d6-a8da-59b48de0231a&error=access_denied&error_reason=wrong_user")
	if err != nil {
		fmt.Println(err)
		return
	}
	returned := client.ReadReturn(back.Query())
	fmt.Println(returned.Token, returned.Error, returned.Reason)
	// Output: f523a772-24f2-45d6-a8da-59b48de0231a access_denied wrong_user
}
