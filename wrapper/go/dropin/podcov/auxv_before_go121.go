//go:build linux && (amd64 || arm64) && !go1.21

package podcov

// auxiliaryVector is what the kernel told the program when it started: pairs of a kind and a value.
func auxiliaryVector() []uintptr {
	content, err := readFile("/proc/self/auxv")
	if err != nil {
		return nil
	}
	words := make([]uintptr, len(content)/8)
	for i := range words {
		words[i] = uintptr(getUint64(content[8*i:]))
	}
	return words
}
