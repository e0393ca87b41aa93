//go:build !linux || !(amd64 || arm64)

package podcov

// Start does nothing on this platform: coverage is what the standard toolchain makes of it.
func Start(args []string) {}

// Asked says that nobody can ask for more.
func Asked() bool { return false }

// MetaFolder says that nothing is recorded.
func MetaFolder() string { return "" }

// HasMeta is never called, because there is no folder to look in.
func HasMeta(hash [16]byte) bool { return false }

// AtExit says that there is nothing to do.
func AtExit() func() { return nil }

// Registered is never called, either.
func Registered(hash [16]byte, slots map[int]int, failure error) {}
