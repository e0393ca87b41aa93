// A program that does a little work and then ends in the way that its first argument says.
package main

import (
	"fmt"
	"os"

	"example.com/ends/ending"
	"example.com/ends/work"
)

func main() {
	how := "return"
	if len(os.Args) > 1 {
		how = os.Args[1]
	}
	fmt.Println("working")
	if work.Even(len(how)) {
		fmt.Println("even", work.Sum(len(how)))
	}
	if len(os.Args) > 2 {
		defer work.Never(os.Args[2:])
	}
	ending.End(how)
}
