package main

import "context"

func main() {
	run(context.Background())
}

func run(ctx context.Context) {
	<-ctx.Done()
}
