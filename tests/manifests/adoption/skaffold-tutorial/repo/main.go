package main

import (
	"fmt"
	"log"
	"net/http"
	"syscall"
)

func main() {
	writeCoverageOn(syscall.SIGUSR1)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
