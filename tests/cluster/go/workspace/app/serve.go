// Package app is how both commands serve.
package app

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
)

// Serve answers by one function until it is told to end.
func Serve(address string, answer http.HandlerFunc) {
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: address, Handler: answer}
	go func() {
		<-stopped.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
