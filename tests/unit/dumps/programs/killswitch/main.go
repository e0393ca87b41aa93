// Command ended answers requests for /one and /two on the port that SERVES names.
package main

import (
	"context"
	"net"
	"net/http"
	"os"
)

func main() { run(context.Background()) }

func run(until context.Context) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("SERVES"))
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, pages())
	<-until.Done()
	listener.Close()
}

func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/one", one)
	mux.HandleFunc("/two", two)
	return mux
}

func one(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("one")) }

func two(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("two")) }
