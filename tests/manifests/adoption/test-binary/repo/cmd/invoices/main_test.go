package main

import (
	"context"
	"net/http"
	"testing"
)

// TestRun is the service itself, until somebody asks port 19999.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	kill := &http.Server{Addr: ":19999", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stop() })}
	go kill.ListenAndServe()
	go run(ctx)
	<-ctx.Done()
}
