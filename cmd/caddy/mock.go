//go:build !nomock

package main

import _ "github.com/seed-dd2befc3/countersign/caddymodule/mock" // left out of what is released for production
