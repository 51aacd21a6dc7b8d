package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// Answer is what came back to a call, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Failure is the body of every error answer (SIG-1.19).
type Failure struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"code"`
	RequestID  string `json:"requestId"`
}

// JSON reads the body into what v points to.
func (a Answer) JSON(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("status %d with a body that is not JSON: %v\n%.400s", a.Status, err, a.Body)
	}
}

// Failure reads the body of an error answer.
func (a Answer) Failure(t testing.TB) Failure {
	t.Helper()
	var f Failure
	a.JSON(t, &f)
	return f
}

// Get fetches an address with the header fields given.
func Get(t testing.TB, address string, header http.Header) Answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	return do(t, newHTTP(), request)
}

// Post sends nothing to an address.
func Post(t testing.TB, address string) Answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, newHTTP(), request)
}

// Send sends a request of any kind.
func Send(t testing.TB, request *http.Request) Answer {
	t.Helper()
	return do(t, newHTTP(), request)
}

// newHTTP is a client that follows nothing, goes through no proxy, keeps no connection over a restart, and takes no
// answer that is not as it is described.
func newHTTP() *http.Client {
	return &http.Client{
		Timeout:       2 * time.Minute,
		Transport:     described{&http.Transport{DisableKeepAlives: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// do sends a request and reads the answer.
func do(t testing.TB, client *http.Client, request *http.Request) Answer {
	t.Helper()
	answer, err := try(client, request)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func try(client *http.Client, request *http.Request) (Answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}
