package main

import (
	"context"
	"net/http"
	"os"
	"testing"
)

func TestRun(t *testing.T) {
	until, end := context.WithCancel(context.Background())
	killswitch := &http.Server{Addr: "127.0.0.1:" + os.Getenv("KILLSWITCH")}
	killswitch.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { end() })
	go killswitch.ListenAndServe()
	run(until)
	killswitch.Close()
}
