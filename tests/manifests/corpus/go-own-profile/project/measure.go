package main

import (
	"os"
	"os/signal"
	"runtime/coverage"
	"syscall"
)

// handOver writes the counters whenever it is asked to, and begins anew.
func handOver() {
	folder, wanted := os.LookupEnv("GOCOVERDIR")
	if !wanted {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	for range asked {
		_ = coverage.WriteCountersDir(folder)
		_ = coverage.ClearCounters()
	}
}
