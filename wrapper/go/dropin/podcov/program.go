//go:build linux && (amd64 || arm64)

package podcov

import (
	"strings"
	"syscall"
)

const programs = "/programs/"

// leaveProgram leaves a link to this program, under the name of its container. Whoever calls a courier in a container that is
// the service's own calls the link: a program without podcov in it makes none, so it cannot be run a second time by it.
func leaveProgram(data string) {
	own, link := executable(), data+programs+containerName()
	if own == "" || strings.HasSuffix(own, " (deleted)") || readLink(link) == own || makeFolder(data+programs) != nil {
		return
	}
	temporary := link + "." + nonce() + ".tmp"
	if syscall.Symlink(own, temporary) == nil && syscall.Rename(temporary, link) != nil {
		syscall.Unlink(temporary)
	}
}

// volumeOfLink is the data volume of the link that a program was called by; empty where it was called in another way.
func volumeOfLink(called string) string {
	if at := strings.LastIndex(called, programs); at > 0 && readLink(called) != "" {
		return called[:at]
	}
	return ""
}

// executable is the path of this program; empty where that cannot be known.
func executable() string {
	return readLink("/proc/self/exe")
}

// readLink is where a link leads to; empty for what is none.
func readLink(path string) string {
	target := make([]byte, 4096)
	length, err := syscall.Readlink(path, target)
	if err != nil {
		return ""
	}
	return string(target[:length])
}
