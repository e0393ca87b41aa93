// Package e2e asks the running service; STORAGE_URL says where it is.
package e2e

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func service(t *testing.T) string {
	t.Helper()
	url := os.Getenv("STORAGE_URL")
	if url == "" {
		t.Skip("STORAGE_URL is not set: there is no service to ask")
	}
	return url + "/entries"
}

func add(t *testing.T, entry string) int {
	t.Helper()
	answer, err := http.Post(service(t), "application/json", strings.NewReader(entry))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func TestEntriesAreChecked(t *testing.T) {
	for entry, expected := range map[string]int{
		`{"service": "billing", "action": "charged"}`:                http.StatusCreated,
		`{"service": "billing", "action": "paid", "level": "error"}`: http.StatusCreated,
		`{"service": "billing"}`:                                     http.StatusUnprocessableEntity,
		`billing charged`:                                            http.StatusBadRequest,
	} {
		if status := add(t, entry); status != expected {
			t.Errorf("%s: %d instead of %d", entry, status, expected)
		}
	}
}

func TestEntriesCanBeRead(t *testing.T) {
	answer, err := http.Get(service(t) + "?service=nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || strings.TrimSpace(string(body)) != "[]" {
		t.Errorf("%s, %v", body, err)
	}
}
