// Command shipping says what it costs to send a parcel, and how long that takes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"example.com/shop/shipping/rates"
)

func main() {
	address := flag.String("address", ":8080", "where to listen")
	flag.Parse()
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Addr: *address, Handler: pages(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		log.Fatal(err)
	case <-stopped.Done():
		finish(server)
	}
}

// finish lets requests end that are under way.
func finish(server *http.Server) {
	ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		log.Print(err)
	}
}

func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("/quote", quote)
	return mux
}

// quote answers /quote?to=COUNTRY&grams=WEIGHT[&express=true].
func quote(w http.ResponseWriter, r *http.Request) {
	grams, err := strconv.Atoi(r.FormValue("grams"))
	if err != nil || grams <= 0 {
		answer(w, http.StatusBadRequest, map[string]string{"error": "grams must be a weight"})
		return
	}
	express := r.FormValue("express") == "true"
	found, err := rates.For(r.FormValue("to"), grams, express)
	if err != nil {
		answer(w, http.StatusNotFound, map[string]string{"error": err.Error()})
		return
	}
	answer(w, http.StatusOK, found)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}
