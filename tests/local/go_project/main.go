// Command numbers answers one line a connection.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	"example.com/numbers/numbers"
)

func main() {
	address := flag.String("address", ":7000", "where to listen")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return
	}
	fmt.Fprintln(connection, answer(strings.Fields(line)))
}

func answer(words []string) string {
	switch {
	case len(words) == 1 && words[0] == "pid":
		return fmt.Sprint(os.Getpid())
	case len(words) == 1 && words[0] == "end":
		os.Exit(0)
	case len(words) == 2:
		return numbers.Describe(words[0], words[1])
	}
	return "what?"
}
