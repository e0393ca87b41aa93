package main

func main() {
	go handOver()
	select {}
}
