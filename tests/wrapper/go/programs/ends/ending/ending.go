// Package ending is not covered: so a run that ends cleanly is the truth for one that does not.
package ending

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func End(how string) {
	clean := os.Getenv("CLEAN") != ""
	switch how {
	case "children":
		for _, word := range []string{"return", "exit"} {
			command := exec.Command(os.Args[0], word)
			command.Stdout = os.Stdout
			_ = command.Run()
		}
		return
	case "exec":
		if clean {
			_ = exec.Command(os.Args[0], "exit", "argument").Run()
			os.Exit(0)
		}
		log.Fatal(syscall.Exec(os.Args[0], []string{os.Args[0], "exit", "argument"}, os.Environ()))
	}
	if clean {
		os.Exit(0)
	}
	switch how {
	case "exit":
		os.Exit(3)
	case "fatal":
		log.Fatal("over")
	case "panic":
		panic("over")
	case "nil":
		var pointer *int
		*pointer = 1
	case "deadlock":
		select {}
	case "wait":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "handler":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("ready")
		<-stop
		fmt.Println("stopping")
		os.Exit(7)
	}
}
