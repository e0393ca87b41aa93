//go:build linux && (amd64 || arm64)

package podcov

import (
	"errors"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	countersMagic = 'P' | 'O'<<8 | 'D'<<16 | 'C'<<24 | 'O'<<32 | 'V'<<40 | 'G'<<48 | '1'<<56
	headerSize    = 4096

	flagFull   = 1 // as in a hit log: the volume had no room
	flagNoMeta = 2 // the meta-data could not be written
)

// padding is virtual memory only. The linker sorts variables of this kind by size and lays the counters behind them: so
// the page in which the counters begin holds nothing else that anybody writes to.
var padding [40 << 20]byte

// header is the beginning of a file of counters. Fields that the courier reads at any moment are written atomically.
type header struct {
	magic      uint64 // stored last
	epoch      uint32 // that the counters belong to
	flags      uint32
	offset     uint32 // of the first counter word in the file
	words      uint32
	registered uint32 // 1: hash and remap are complete
	remaps     uint32
	hash       [16]byte
	mappedFrom uint32 // the words that are mapped; the others are saved now and then
	mappedTo   uint32
	wanted     uint32 // a courier counts this up and waits until saved is as much
	saved      uint32
	finished   uint32 // 1: what is not mapped was saved when the app exited
	_          [12]byte
	remap      [(headerSize - 80) / 8]remap
}

// remap is a number that the compiler gave to a package of the runtime, and the package's place in the meta-data.
type remap struct {
	from int32
	slot uint32
}

func (h *header) raise(flag uint32) {
	for {
		flags := atomic.LoadUint32(&h.flags)
		if atomic.CompareAndSwapUint32(&h.flags, flags, flags|flag) {
			return
		}
	}
}

// section is the counter section of this process: words of 32 bits.
type section struct {
	first *uint32
	words int
}

// mapTo has the counters in a new file from now on. The file stays open and locked for as long as the process lives.
func (s section) mapTo(path string) (file int, mapped *header, err error) {
	begin, end := s.pages()
	from, to := s.ownPages(begin, end)
	file, err = create(path, syscall.O_RDWR|syscall.O_EXCL)
	if err != nil {
		return 0, nil, errors.New("its file of counters cannot be made: " + err.Error())
	}
	defer func() {
		if err != nil {
			syscall.Close(file)
			syscall.Unlink(path)
		}
	}()
	page := uintptr(syscall.Getpagesize())
	size := page + end - begin
	// All of it is allocated before it is mapped: a full volume must not become a SIGBUS in the app.
	if err = allocate(file, int64(size)); err != nil {
		return 0, nil, errors.New("its counters do not fit into the data volume: " + err.Error())
	}
	if err = syscall.Flock(file, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return 0, nil, errors.New("its file of counters cannot be locked: " + err.Error())
	}
	file = away(file)
	first, err := mmap(0, headerSize, file, 0, 0)
	if err != nil {
		return 0, nil, errors.New("the header of its counters cannot be mapped: " + err.Error())
	}
	mapped = (*header)(unsafe.Pointer(first))
	mapped.offset = uint32(page + uintptr(unsafe.Pointer(s.first)) - begin)
	mapped.words = uint32(s.words)
	mapped.mappedFrom, mapped.mappedTo = s.wordsIn(from, to)
	if from == to {
		return file, mapped, nil
	}
	at := page + from - begin
	current := unsafe.Slice((*byte)(unsafe.Pointer(from)), to-from) // what has run so far
	if n, err := syscall.Pwrite(file, current, int64(at)); err != nil || n != len(current) {
		return 0, nil, errors.New("its counters cannot be copied")
	}
	if _, err = mmap(from, to-from, file, at, syscall.MAP_FIXED); err != nil {
		return 0, nil, errors.New("its counters cannot be mapped: " + err.Error())
	}
	return file, mapped, nil
}

func (s section) bounds() (low, high uintptr) {
	low = uintptr(unsafe.Pointer(s.first))
	return low, low + 4*uintptr(s.words)
}

// pages are those that hold counters.
func (s section) pages() (begin, end uintptr) {
	page := uintptr(syscall.Getpagesize())
	low, high := s.bounds()
	return low &^ (page - 1), (high + page - 1) &^ (page - 1)
}

// ownPages are those pages that hold nothing but counters: variables of others would be taken from under the feet of
// whoever writes to them meanwhile.
func (s section) ownPages(begin, end uintptr) (from, to uintptr) {
	page := uintptr(syscall.Getpagesize())
	low, high := s.bounds()
	pad := uintptr(unsafe.Pointer(&padding))
	padEnd := pad + unsafe.Sizeof(padding)
	const alignment = 64
	if low != begin && !(pad <= begin && padEnd <= low && low-padEnd < alignment) {
		begin += page
	}
	if high != end && high != dataEnd() {
		end -= page
	}
	if begin > end {
		return begin, begin
	}
	return begin, end
}

// wordsIn is which of the words lie in these pages.
func (s section) wordsIn(from, to uintptr) (first, last uint32) {
	low, high := s.bounds()
	if from == to {
		return 0, 0
	}
	if from > low {
		first = uint32((from - low) / 4)
	}
	if to < high {
		high = to
	}
	return first, uint32((high - low) / 4)
}

// dataEnd is where the program's own variables end; 0 where that is not known.
func dataEnd() uintptr {
	const (
		auxHeaders, auxEntrySize, auxCount = 3, 4, 5
		load, self                         = 1, 6
	)
	var headers, count, entry uintptr
	vector := auxiliaryVector()
	for i := 0; i+1 < len(vector); i += 2 {
		switch vector[i] {
		case auxHeaders:
			headers = vector[i+1]
		case auxEntrySize:
			entry = vector[i+1]
		case auxCount:
			count = vector[i+1]
		}
	}
	var end, bias uintptr
	for i := uintptr(0); i < count; i++ {
		program := unsafe.Slice((*byte)(unsafe.Pointer(headers+i*entry)), 56)
		address, size := uintptr(getUint64(program[16:])), uintptr(getUint64(program[40:]))
		switch getUint32(program) {
		case self:
			bias = headers - address
		case load:
			if address+size > end {
				end = address + size
			}
		}
	}
	if end == 0 {
		return 0
	}
	return end + bias
}

func allocate(file int, size int64) error {
	err := syscall.Fallocate(file, 0, 0, size)
	if err != syscall.EOPNOTSUPP && err != syscall.ENOSYS {
		return err
	}
	return writeAll(file, make([]byte, size))
}

// away moves a descriptor out of the way of apps that expect certain low numbers. From 64 on the kernel would have to
// make the table of descriptors larger, and with threads around that takes it milliseconds.
func away(file int) int {
	const high = 48
	moved, _, failed := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(file), syscall.F_DUPFD_CLOEXEC, high)
	if failed != 0 {
		return file // the app may open few files only
	}
	syscall.Close(file)
	return int(moved)
}

func mmap(address, length uintptr, file int, offset uintptr, flags uintptr) (uintptr, error) {
	const access = syscall.PROT_READ | syscall.PROT_WRITE
	at, _, failed := syscall.RawSyscall6(syscall.SYS_MMAP, address, length, access, syscall.MAP_SHARED|flags, uintptr(file), offset)
	if failed != 0 {
		return 0, failed
	}
	return at, nil
}
