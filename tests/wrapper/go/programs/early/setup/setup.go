package setup

import (
	"fmt"
	"os"
)

var Ready = prepare()

func prepare() bool {
	switch os.Getenv("SETUP") {
	case "exit":
		os.Exit(4)
	case "wait":
		fmt.Println("waiting")
		var line string
		_, _ = fmt.Scanln(&line)
	}
	return true
}
