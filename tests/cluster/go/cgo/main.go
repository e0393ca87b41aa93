// Command cgo has C count words.
package main

/*
#include <ctype.h>
#include <stdlib.h>

static int words(const char *text) {
	int count = 0;
	for (; *text; text++)
		count += !isspace(text[0]) && (isspace(text[1]) || !text[1]);
	return count;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"unsafe"
)

func main() {
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(answer)}
	go func() {
		<-stopped.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	log.Println("told to end")
}

func answer(w http.ResponseWriter, r *http.Request) {
	text := r.FormValue("text")
	if text == "" {
		http.Error(w, "text is needed", http.StatusBadRequest)
		return
	}
	if r.FormValue("letters") != "" {
		fmt.Fprintln(w, len([]rune(text)))
		return
	}
	fmt.Fprintln(w, words(text))
}

func words(text string) int {
	copied := C.CString(text)
	defer C.free(unsafe.Pointer(copied))
	return int(C.words(copied))
}
