package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An id that is empty, as a shell's variable that is not set makes it, must not mean all dead letters.
func TestReplayNeedsAnID(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("asked: %s %s", r.Method, r.URL)
		http.Error(w, "{}", http.StatusOK)
	}))
	defer admin.Close()
	for _, id := range []string{"", ".", "../deliveries"} {
		cmd := deliveriesReplayCommand()
		cmd.SetArgs([]string{"--address", strings.TrimPrefix(admin.URL, "http://"), id})
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid id") {
			t.Errorf("%q: got %v, want invalid id", id, err)
		}
	}
}
