//go:build tools

// Package tools makes `go mod vendor` copy the Tilt command.
package tools

import _ "github.com/tilt-dev/tilt/cmd/tilt"
