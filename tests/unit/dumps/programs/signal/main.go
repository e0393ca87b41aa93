// Command asked does what the lines on its standard input say, and writes its counters when SIGUSR1 comes.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime/coverage"
	"syscall"
)

func main() {
	if handler := os.Getenv("HANDLER"); handler != "none" {
		writeWhenAsked(os.Getenv("GOCOVERDIR"), handler)
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "one":
			one()
		case "two":
			two()
		case "panic":
			panic("asked for")
		}
		fmt.Println(lines.Text())
	}
}

func one() { fmt.Fprintln(os.Stderr, "one ran") }

func two() { fmt.Fprintln(os.Stderr, "two ran") }

func writeWhenAsked(folder, handler string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			coverage.WriteCountersDir(folder)
			switch handler {
			case "clear":
				coverage.ClearCounters()
			case "end":
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
	}()
}
