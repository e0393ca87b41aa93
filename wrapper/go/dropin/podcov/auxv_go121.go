//go:build linux && (amd64 || arm64) && go1.21

package podcov

import _ "unsafe" // for go:linkname

// auxiliaryVector is what the kernel told the program when it started: pairs of a kind and a value. The file in /proc
// says the same, but not to a program that has file capabilities.
//
//go:linkname auxiliaryVector runtime.getAuxv
func auxiliaryVector() []uintptr
