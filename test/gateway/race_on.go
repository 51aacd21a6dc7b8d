//go:build race

package gateway

const raceEnabled = true // the test binary has the race detector, so the gateway gets it too
