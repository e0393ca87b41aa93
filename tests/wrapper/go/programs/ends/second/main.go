// Another command of the same module.
package main

import (
	"fmt"

	"example.com/ends/work"
)

func main() {
	fmt.Println(work.Sum(200), work.Even(3))
}
