package os

import "internal/podcov"

// In a file whose name sorts before proc.go: Args is not set yet.
func init() {
	podcov.Start(runtime_args())
}
