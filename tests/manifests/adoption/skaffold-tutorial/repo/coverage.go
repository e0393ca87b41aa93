package main

import (
	"log"
	"os"
	"os/signal"
	"runtime/coverage"
)

// writeCoverageOn has each such signal write the counters into GOCOVERDIR, and begin anew.
func writeCoverageOn(trigger os.Signal) {
	folder := os.Getenv("GOCOVERDIR")
	if folder == "" {
		return
	}
	triggered := make(chan os.Signal, 1)
	signal.Notify(triggered, trigger)
	go func() {
		for range triggered {
			if err := coverage.WriteCountersDir(folder); err != nil {
				log.Print(err)
			}
			if err := coverage.ClearCounters(); err != nil {
				log.Print(err)
			}
		}
	}()
}
