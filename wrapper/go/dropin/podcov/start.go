//go:build linux && (amd64 || arm64)

package podcov

import "syscall"

// Start is called by package os before it and everything that imports it is initialised.
func Start(args []string) {
	if len(args) > 1 && args[1] == CourierArgument {
		if data := courierData(args[0]); data != "" {
			syscall.Exit(runCourier(volume{data}, args[2:]))
		}
	}
	if data := askedFor(); data != "" {
		record(data, args)
	}
}

// courierData is the data volume that a program is to be a courier of; empty where it is to be what it always is. Its link
// makes it one whatever stands in the environment, since nobody but podcov calls a program by that.
func courierData(called string) string {
	if data := volumeOfLink(called); data != "" {
		return data
	}
	return askedFor()
}

// Asked says whether the environment asks for podcov.
func Asked() bool {
	return askedFor() != ""
}

// askedFor is the data volume that the environment asks to record in; empty where it does not.
func askedFor() string {
	if off, _ := syscall.Getenv("PODCOV_OFF"); off == "1" {
		return ""
	}
	data, _ := syscall.Getenv("PODCOV_DATA")
	return data
}
