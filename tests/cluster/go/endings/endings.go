package main

import (
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Each runs a function of its own right before the end.
var endings = map[string]func(){
	"deadlock": func() { again("deadlock") }, // a process that has ever served has timers left, and goes on sleeping
	"exec":     func() { beforeExec(); again("again") },
	"exit":     func() { beforeExit(); os.Exit(3) },
	"fatal":    func() { beforeFatal(); log.Fatal("over") },
	"memory":   func() { beforeMemory(); hoard() },
	"panic":    func() { beforePanic(); panic("over") },
	"return":   func() { server.Close(); over <- true },
	"stop":     untilStopped,
	"stuck":    func() { waitForMyself(); unasked() },
}

func again(how string) {
	log.Fatal(syscall.Exec("/proc/self/exe", []string{os.Args[0], how}, os.Environ()))
}

func hoard() {
	var hoarded [][]byte
	for {
		more := make([]byte, 1<<20)
		for i := range more {
			more[i] = 1
		}
		hoarded = append(hoarded, more)
	}
}

func untilStopped() {
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	<-stopped
	afterSigterm()
	os.Exit(0)
}

func waitForMyself() {
	var lock sync.Mutex
	lock.Lock()
	beforeStuck()
	lock.Lock()
}

func afterExec()      { log.Println("here I am again") }
func afterSigterm()   { log.Println("told to end") }
func beforeDeadlock() { log.Println("nobody is left to wait for") }
func beforeExec()     { log.Println("another program, which is the same") }
func beforeExit()     { log.Println("os.Exit") }
func beforeFatal()    { log.Println("log.Fatal") }
func beforeMemory()   { log.Println("as much memory as there is") }
func beforePanic()    { log.Println("panic") }
func beforeReturn()   { log.Println("the end of main") }
func beforeStuck()    { log.Println("waiting for myself") }
