//go:build linux && (amd64 || arm64)

package podcov

import "syscall"

// Start is called by package os before it and everything that imports it is initialised.
func Start(args []string) {
	data, _ := syscall.Getenv("PODCOV_DATA")
	if off, _ := syscall.Getenv("PODCOV_OFF"); data == "" || off == "1" {
		return
	}
	if len(args) > 1 && args[1] == CourierArgument {
		syscall.Exit(runCourier(volume{data}, args[2:]))
	}
	record(data, args)
}
