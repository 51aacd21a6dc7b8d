//go:build (linux || darwin) && (amd64 || arm64)

package pkcs11test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/cryptoki"
)

// Bare is a token's key without an agent: the module runs in this process, as a baseline for benchmarks.
type Bare struct {
	session *cryptoki.Session
	key     cryptoki.Object
}

// Open logs in to the token and finds its key. A process can have only one.
func (t *Token) Open(tb testing.TB) Bare {
	tb.Helper()
	for _, variable := range t.r.Env() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil { // the library reads C's environment, which t.Setenv sets too
			tb.Fatal(err)
		}
	}
	module, err := cryptoki.Open(Module)
	if err != nil {
		tb.Fatal(err)
	}
	slots, err := module.Slots()
	if err != nil {
		tb.Fatal(err)
	}
	for _, slot := range slots {
		token, err := module.Token(slot.ID)
		if err != nil || token.Label != t.Label {
			continue
		}
		session, err := module.OpenSession(slot.ID)
		if err == nil {
			err = session.Login(cryptoki.CardHolder, []byte(t.PIN))
		}
		if err != nil {
			tb.Fatal(err)
		}
		keys, err := session.Find(cryptoki.Number(cryptoki.Class, cryptoki.ClassPrivateKey))
		if err != nil || len(keys) != 1 {
			tb.Fatalf("got %d keys, error %v", len(keys), err)
		}
		return Bare{session, keys[0]}
	}
	tb.Fatalf("no token %q", t.Label)
	return Bare{}
}

// Sign signs each text.
func (k Bare) Sign(tb testing.TB, texts [][]byte) {
	tb.Helper()
	for _, text := range texts {
		if err := k.session.SignInit(cryptoki.SHA256RSAPKCS, k.key); err != nil {
			tb.Fatal(err)
		}
		if _, err := k.session.Sign(text); err != nil {
			tb.Fatal(err)
		}
	}
}

// Cost is what a round took: wall time and CPU time.
type Cost struct{ Wall, CPU time.Duration }

// Measure runs a round. The CPU time includes this process and those of its children that have one of the arguments;
// they must outlive the round.
func Measure(tb testing.TB, round func(), arguments ...string) Cost {
	tb.Helper()
	var children []int
	for _, argument := range arguments {
		children = append(children, Children(tb, os.Getpid(), argument)...)
	}
	cpu, began := used(tb, children), time.Now()
	round()
	return Cost{Wall: time.Since(began), CPU: used(tb, children) - cpu}
}

// used returns the CPU time of this process and of others, for those in steps of 10 ms.
func used(tb testing.TB, others []int) time.Duration {
	tb.Helper()
	var self unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &self); err != nil {
		tb.Fatal(err)
	}
	total := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	for _, pid := range others {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			tb.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after) // the first is the third of proc_pid_stat(5)
		for _, ticks := range fields[11:13] {
			n, err := strconv.Atoi(ticks)
			if err != nil {
				tb.Fatal(err)
			}
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total
}

// Report reports a benchmark's figures: medians per signature; the median of the rounds' ratios; and two ratios that
// depend less on the machine's load, of the best rounds and of all CPU time.
func Report(b *testing.B, what string, ours, bare []Cost, signatures int) {
	b.Helper()
	var ratios []float64
	var our, their time.Duration
	for i := range ours {
		ratios = append(ratios, float64(ours[i].Wall)/float64(bare[i].Wall))
		our += ours[i].CPU
		their += bare[i].CPU
	}
	middle := func(of []Cost) float64 {
		sorted := slices.SortedFunc(slices.Values(of), func(a, b Cost) int { return cmp.Compare(a.Wall, b.Wall) })
		return float64(sorted[len(sorted)/2].Wall.Microseconds()) / float64(signatures)
	}
	best := func(of []Cost) float64 {
		return float64(slices.MinFunc(of, func(a, b Cost) int { return cmp.Compare(a.Wall, b.Wall) }).Wall)
	}
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op") // meaningless per round
	b.ReportMetric(middle(ours), "µs/signature-"+what)
	b.ReportMetric(middle(bare), "µs/signature-bare")
	b.ReportMetric(ratios[len(ratios)/2], "x-bare")
	b.ReportMetric(best(ours)/best(bare), "x-bare-best")
	b.ReportMetric(float64(our)/float64(their), "x-bare-CPU")
}
