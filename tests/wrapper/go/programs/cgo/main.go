// A program with C in it, which resolves names by the C library.
package main

/*
static char others[100000];
static int twice(int n) { others[n] = 1; return 2 * n + others[n + 1]; }
*/
import "C"

import (
	"fmt"
	"net"
	"os"
)

func main() {
	fmt.Println(twice(4))
	if _, err := net.LookupHost("localhost"); err != nil {
		fmt.Println("no localhost")
	}
	if len(os.Args) > 1 && os.Args[1] == "wait" {
		fmt.Println("ready")
		_, _ = os.Stdin.Read(make([]byte, 1))
		again()
		fmt.Println("done")
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
	os.Exit(3)
}

func twice(n int) int {
	return int(C.twice(C.int(n)))
}

func again() {
	fmt.Println("again")
}
