// A program whose package may keep it from ever reaching main.
package main

import (
	"fmt"

	"example.com/early/setup"
)

func main() {
	fmt.Println("main", setup.Ready)
	var line string
	_, _ = fmt.Scanln(&line)
}
