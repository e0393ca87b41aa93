package main

import (
	"context"
	"flag"
)

var config = flag.String("config", "", "where the settings are")

func main() {
	flag.Parse()
	run(context.Background())
}

func run(ctx context.Context) {
	println("settings:", *config)
	<-ctx.Done()
}
