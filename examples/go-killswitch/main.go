// Command calendar answers questions about days over HTTP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"example.com/calendar/days"
)

var weekStart = flag.String("week-start", "monday", "the first day of a week: monday or sunday")

func main() {
	flag.Parse()
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(stopped); err != nil {
		log.Fatal(err)
	}
}

// run serves until the context is done.
func run(stopped context.Context) error {
	server := &http.Server{Addr: ":8080", Handler: pages(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-stopped.Done():
		return server.Shutdown(context.Background())
	}
}

func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/between", between)
	mux.HandleFunc("/week", week)
	mux.HandleFunc("/leap", leap)
	return mux
}

func between(w http.ResponseWriter, r *http.Request) {
	from, errFrom := time.Parse(time.DateOnly, r.FormValue("from"))
	to, errTo := time.Parse(time.DateOnly, r.FormValue("to"))
	if err := errors.Join(errFrom, errTo); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, days.Between(from, to))
}

func week(w http.ResponseWriter, r *http.Request) {
	day, err := time.Parse(time.DateOnly, r.FormValue("of"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	first := time.Monday
	if *weekStart == "sunday" {
		first = time.Sunday
	}
	fmt.Fprintln(w, days.WeekOf(day, first).Format(time.DateOnly))
}

func leap(w http.ResponseWriter, r *http.Request) {
	year, err := strconv.Atoi(r.FormValue("year"))
	if err != nil {
		http.Error(w, "year: a number is needed", http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, days.IsLeap(year))
}
