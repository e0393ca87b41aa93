package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

// TestRun is the service as a test: built by `go test -c -cover`, it writes a profile when it has ended. A request to the killswitch
// ends it.
func TestRun(t *testing.T) {
	running, kill := context.WithCancel(context.Background())
	killswitch := &http.Server{Addr: ":19999", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { kill() })}
	go func() {
		if err := killswitch.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
			kill()
		}
	}()
	if err := run(running); err != nil {
		t.Error(err)
	}
	if err := killswitch.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
