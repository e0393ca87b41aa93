package main

import "testing"

func TestServer(t *testing.T) {
	ctx := killedBy(t, "0.0.0.0:19999")
	go run()
	<-ctx.Done()
}
