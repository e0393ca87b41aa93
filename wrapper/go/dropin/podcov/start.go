//go:build linux && (amd64 || arm64)

package podcov

import "syscall"

// Start is called by package os before it and everything that imports it is initialised.
func Start(args []string) {
	if !Asked() {
		return
	}
	data, _ := syscall.Getenv("PODCOV_DATA")
	if len(args) > 1 && args[1] == CourierArgument {
		syscall.Exit(runCourier(volume{data}, args[2:]))
	}
	record(data, args)
}

// Asked says whether the environment asks for podcov.
func Asked() bool {
	data, _ := syscall.Getenv("PODCOV_DATA")
	off, _ := syscall.Getenv("PODCOV_OFF")
	return data != "" && off != "1"
}
