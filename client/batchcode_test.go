package client_test

import (
	"fmt"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
)

// TestBatchCode checks the code against vectors of another implementation (Python's hashlib and integers).
func TestBatchCode(t *testing.T) {
	many := func(payload func(i int) []byte) [][]byte {
		var all [][]byte
		for i := range 250 {
			all = append(all, payload(i))
		}
		return all
	}
	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	for _, c := range []struct {
		payloads [][]byte
		want     string
	}{
		{nil, "WERC 8GMR ZGE1"},
		{[][]byte{{}}, "BQVE 1RKP 2DCX"},
		{[][]byte{[]byte("a")}, "QXEK NZXQ 7VYJ"},
		{[][]byte{[]byte("a"), []byte("b")}, "WPG1 ZVGM W3PN"},
		{[][]byte{[]byte("b"), []byte("a")}, "33BS SDT7 X8BM"},
		{[][]byte{[]byte("ab")}, "M7ZR Y62P PQH4"},
		{many(func(int) []byte { return bytes }), "81PV 61F4 WX6K"},
		{many(func(i int) []byte { return fmt.Append(nil, i) }), "DXNX FXTV MQNM"},
	} {
		var payloads []client.Payload
		for i, data := range c.payloads {
			payloads = append(payloads, client.NewPayload(fmt.Sprint(i), data))
		}
		got, err := client.BatchCode(payloads)
		if err != nil || got != c.want {
			t.Errorf("%d payloads: got %q, %v, want %q", len(payloads), got, err, c.want)
		}
	}
	if _, err := client.BatchCode([]client.Payload{{ID: "x", Payload: "%"}}); err == nil {
		t.Error("payload that is not base64: got no error, want one")
	}
}
