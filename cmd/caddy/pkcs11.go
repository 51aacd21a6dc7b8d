//go:build (cgo || pkcs11) && (linux || darwin) && (amd64 || arm64)

package main

// The PKCS#11 agent makes a binary dynamically linked. With cgo it is so anyway; what is released is built without,
// and has the agent only where the build tag pkcs11 asks for it.
import _ "github.com/seed-dd2befc3/countersign/caddymodule/pkcs11"
