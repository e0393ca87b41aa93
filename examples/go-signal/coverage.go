package main

import (
	"log"
	"os"
	"os/signal"
	"runtime/coverage"
	"syscall"
)

// writeCoverageWhenAsked has SIGUSR1 write the coverage counters and set them back, so that what a pod has run can be had while
// it runs, apart for each set of tests. Only where GOCOVERDIR says where to, in a build with -cover -covermode=atomic.
func writeCoverageWhenAsked() {
	folder, wanted := os.LookupEnv("GOCOVERDIR")
	if !wanted {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			if err := coverage.WriteCountersDir(folder); err != nil {
				log.Println("coverage is not written:", err)
				continue
			}
			if err := coverage.ClearCounters(); err != nil {
				log.Println("coverage is not set back:", err)
			}
		}
	}()
}
