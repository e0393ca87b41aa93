package main

import "syscall"

func main() {
	go handOver(syscall.SIGUSR1)
	select {}
}
