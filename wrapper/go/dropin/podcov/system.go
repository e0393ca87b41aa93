//go:build linux && (amd64 || arm64)

package podcov

import (
	"errors"
	"strconv"
	"syscall"
)

// Files by bare system calls: package os imports this one.

func readFile(path string) ([]byte, error) {
	descriptor, err := open(path, syscall.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(descriptor)
	return readAll(descriptor)
}

func readAll(descriptor int) ([]byte, error) {
	content := make([]byte, 0, 4096)
	for {
		if len(content) == cap(content) {
			content = append(content, make([]byte, cap(content))...)[:len(content)]
		}
		n, err := syscall.Read(descriptor, content[len(content):cap(content)])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return content, err
		}
		content = content[:len(content)+n]
	}
}

func writeAll(descriptor int, content []byte) error {
	for len(content) > 0 {
		n, err := syscall.Write(descriptor, content)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}

func open(path string, flags int) (int, error) {
	for {
		descriptor, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0o666)
		if err != syscall.EINTR {
			return descriptor, err
		}
	}
}

// create opens a file that every user may read and write, whatever the umask.
func create(path string, flags int) (int, error) {
	descriptor, err := open(path, flags|syscall.O_CREAT)
	if err == nil {
		syscall.Fchmod(descriptor, 0o666) // fails where somebody else made it, who did this
	}
	return descriptor, err
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, content []byte) error {
	descriptor, err := create(path, syscall.O_WRONLY|syscall.O_EXCL)
	if err != nil {
		return err
	}
	err = writeAll(descriptor, content)
	syscall.Close(descriptor)
	return err
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, content []byte) error {
	temporary := path + "." + nonce() + ".tmp"
	err := writeNew(temporary, content)
	if err == nil {
		err = syscall.Rename(temporary, path)
	}
	if err != nil {
		syscall.Unlink(temporary)
	}
	return err
}

// makeFolder makes a folder that every user may write into, unless it is there.
func makeFolder(path string) error {
	err := syscall.Mkdir(path, 0o777)
	if err == nil {
		return syscall.Chmod(path, 0o777) // the umask is the app's
	}
	if err == syscall.EEXIST {
		return nil
	}
	return err
}

// names lists a folder; one that is not there has nothing.
func names(path string) []string {
	descriptor, err := open(path, syscall.O_RDONLY|syscall.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer syscall.Close(descriptor)
	var found []string
	buffer := make([]byte, 1<<15)
	for {
		n, err := syscall.ReadDirent(descriptor, buffer)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return found
		}
		_, _, found = syscall.ParseDirent(buffer[:n], -1, found)
	}
}

// nonce is 8 hex digits of randomness.
func nonce() string {
	var random [4]byte
	if descriptor, err := open("/dev/urandom", syscall.O_RDONLY); err == nil {
		syscall.Read(descriptor, random[:])
		syscall.Close(descriptor)
	}
	return hexOf(random[:])
}

func hexOf(content []byte) string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 2*len(content))
	for _, b := range content {
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// startTime is when a process began, in clock ticks since the machine started; 0 where that cannot be read.
func startTime(pid string) int {
	content, err := readFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	end := len(content)
	for end > 0 && content[end-1] != ')' { // the name may hold anything
		end--
	}
	const field = 22 - 3 // the first one here is the state, number 3
	for number, text := 0, content[end:]; ; number++ {
		var word string
		if word, text = nextWord(text); word == "" {
			return 0
		}
		if number == field {
			ticks, _ := strconv.Atoi(word)
			return ticks
		}
	}
}

func nextWord(text []byte) (word string, rest []byte) {
	start := 0
	for start < len(text) && text[start] <= ' ' {
		start++
	}
	end := start
	for end < len(text) && text[end] > ' ' {
		end++
	}
	return string(text[start:end]), text[end:]
}

func getUint32(content []byte) uint32 {
	return uint32(content[0]) | uint32(content[1])<<8 | uint32(content[2])<<16 | uint32(content[3])<<24
}

func getUint64(content []byte) uint64 {
	return uint64(getUint32(content)) | uint64(getUint32(content[4:]))<<32
}

func putUint32(to []byte, value uint32) []byte {
	return append(to, byte(value), byte(value>>8), byte(value>>16), byte(value>>24))
}

func putUint64(to []byte, value uint64) []byte {
	return putUint32(putUint32(to, uint32(value)), uint32(value>>32))
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
