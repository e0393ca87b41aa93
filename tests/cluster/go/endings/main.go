// Command endings is a service that ends in the way that it is asked for: `/end?how=panic`.
package main

import (
	"fmt"
	"net/http"
	"os"
)

var (
	server = &http.Server{Addr: ":8080"}
	over   = make(chan bool)
)

func main() {
	switch {
	case len(os.Args) == 1:
	case os.Args[1] == "again":
		afterExec()
	default:
		beforeDeadlock()
		select {}
	}
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	http.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		go endings[r.FormValue("how")]()
		fmt.Fprintln(w, "as you like")
	})
	_ = server.ListenAndServe()
	<-over
	beforeReturn()
}
