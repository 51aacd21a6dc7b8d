package pkcs11test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Children returns the running descendants of a process that have an argument. It reads /proc.
func Children(tb testing.TB, parent int, argument string) []int {
	tb.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		tb.Fatalf("cannot list processes: %v", err)
	}
	parents, state := map[int]int{}, map[int]string{}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // has ended
		}
		_, after, _ := bytes.Cut(text, []byte(") "))
		fields := strings.Fields(string(after))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parents[pid], _ = strconv.Atoi(fields[1])
		state[pid] = fields[0]
	}
	var found []int
	for pid := range parents {
		if state[pid] == "Z" || !descends(parents, pid, parent) {
			continue
		}
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && slices.Contains(strings.Split(string(command), "\x00"), argument) {
			found = append(found, pid)
		}
	}
	return found
}

func descends(parents map[int]int, pid, from int) bool {
	for range parents {
		pid = parents[pid]
		if pid == from || pid == 0 {
			return pid == from
		}
	}
	return false
}
