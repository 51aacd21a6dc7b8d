// Package faults_test is the fault harness: it drives the built binary with a load of real journeys, breaks
// something, and looks whether anything that was acknowledged is gone.
//
//	load ──▶ gateway ──▶ store     the fault hits the gateway, its disk, its agent, its clock, its receiver
//	 │
//	 └─ every acknowledgement ──▶ journal (fsynced, elsewhere) ──▶ oracle: after each fault, is all of it there?
//
// The load are client systems with access tokens (each assertion's jti used once), their signing requests, and
// people who open the page, sign, cancel or leave. A worker goes on only when the journal has what it was told. The
// oracle imports nothing of the product: JWTs are made, and signatures verified, by Go's own crypto packages.
//
// After each fault and restart the oracle checks that
//
//   - the same JWT gives the same token, and its session stands where it was seen or further on;
//   - every completion that was told can be fetched, is the same as before, and its signatures verify;
//   - every jti that was accepted is refused as used, and every access token still opens the door;
//   - no batch is half done: an answer has every signature or none;
//   - the gateway takes requests again in less than five seconds (in a short round: in time, see awaitReady).
//
// The writers that promise to keep things (the embedded store, an appended file, a replaced one) are also put on failing
// disks by themselves, without a gateway (see writers_test.go).
//
// Each fault is a test. `go test` runs a short round of each; FAULTS=n, or `make faults N=n [ONLY=name]`, runs n
// faults of each, in worlds of up to 25 so that nothing in a world grows old. The harness is itself tested: against
// builds with one safeguard removed (see catches_test.go) it must report the loss.
//
// Faults of disks need root (loop devices, mounts); without it those tests fail and say so.
package faults_test
