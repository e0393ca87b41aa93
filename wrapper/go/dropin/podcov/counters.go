//go:build linux && (amd64 || arm64)

package podcov

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// The words of the counter section: each function that was entered has its number of counters, its package, its own
// number in it, and then the counters. The rest is zero.
const functionHead = 3

// counterFile is the file in which a process, alive or not, has its counters.
type counterFile struct {
	*header
	words  []uint32
	mapped []byte
	alive  bool
}

// openCounters maps the counters of a process. It fails where the process has not begun to record.
func openCounters(path string) (*counterFile, error) {
	file, err := open(path, syscall.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(file)
	var stat syscall.Stat_t
	if err := syscall.Fstat(file, &stat); err != nil {
		return nil, err
	}
	if stat.Size < headerSize {
		return nil, errors.New("its file of counters is not complete")
	}
	mapped, err := syscall.Mmap(file, 0, int(stat.Size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	c := &counterFile{header: (*header)(unsafe.Pointer(&mapped[0])), mapped: mapped}
	if atomic.LoadUint64(&c.magic) != countersMagic || uint64(c.offset)+4*uint64(c.header.words) > uint64(len(mapped)) {
		c.close()
		return nil, errors.New("its file of counters is not complete")
	}
	c.words = unsafe.Slice((*uint32)(unsafe.Pointer(&mapped[c.offset])), c.header.words)
	// The process holds the lock until it ends, in whatever way. A shared one lets couriers look at the same time.
	c.alive = syscall.Flock(file, syscall.LOCK_SH|syscall.LOCK_NB) != nil
	return c, nil
}

func (c *counterFile) close() {
	syscall.Munmap(c.mapped)
}

// known says whether it is known what the counters mean: main began, so all packages have registered.
func (c *counterFile) known() bool {
	return atomic.LoadUint32(&c.registered) != 0
}

// function is one that has run: where its counters are among the words, and who it is in the meta-data.
type function struct {
	slot, number uint32
	first        int
	counters     []uint32
}

// functions are those that ran in the current epoch.
func (c *counterFile) functions(meta layout) []function {
	const attempts, pause = 50, time.Millisecond
	for attempt := 1; ; attempt++ {
		found, strange := c.scan(copyOf(c.words), meta)
		if strange == 0 || attempt == attempts || !c.alive {
			return found
		}
		// The head of a function is written before its counters, but not every processor shows it in that order.
		time.Sleep(pause)
	}
}

// copyOf copies the words from the last to the first: whoever has a counter has its function's head, too.
func copyOf(words []uint32) []uint32 {
	copied := make([]uint32, len(words))
	for i := len(words) - 1; i >= 0; i-- {
		copied[i] = atomic.LoadUint32(&words[i])
	}
	return copied
}

// scan finds the functions among the words, and counts the words that belong to none.
func (c *counterFile) scan(words []uint32, meta layout) (found []function, strange int) {
	for i := 0; i < len(words); {
		if words[i] == 0 {
			i++
			continue
		}
		end := i + functionHead + int(words[i])
		if end > len(words) || end < i {
			strange++
			i++
			continue
		}
		slot, known := c.slot(int32(words[i+1]))
		if !known || !meta.has(slot, words[i+2], words[i]) {
			strange++
			i++
			continue
		}
		counters := words[i+functionHead : end]
		if anySet(counters) {
			found = append(found, function{slot, words[i+2], i + functionHead, counters})
		}
		i = end
	}
	return found, strange
}

// slot is the place in the meta-data of a package, by the number that its counters carry: the place and one, or a
// number below zero for packages of the runtime, which are counted before they can register.
func (c *counterFile) slot(number int32) (slot uint32, known bool) {
	if number > 0 {
		return uint32(number - 1), true
	}
	for i := uint32(0); i < c.remaps && int(i) < len(c.remap); i++ {
		if c.remap[i].from == number {
			return c.remap[i].slot, true
		}
	}
	return 0, false
}

func anySet(counters []uint32) bool {
	for _, counter := range counters {
		if counter != 0 {
			return true
		}
	}
	return false
}

// take sets the counters of these functions to 0 and adds what came since they were read, so that nothing is lost.
func (c *counterFile) take(functions []function) (changed bool) {
	for _, f := range functions {
		for i := range f.counters {
			if last := atomic.SwapUint32(&c.words[f.first+i], 0); last != f.counters[i] {
				f.counters[i] = last
				changed = true
			}
		}
	}
	return changed
}

// giveBack undoes take: the counters belong to whatever epoch is the current one.
func (c *counterFile) giveBack(functions []function) {
	for _, f := range functions {
		for i, counter := range f.counters {
			atomic.CompareAndSwapUint32(&c.words[f.first+i], 0, counter)
		}
	}
}

// encode writes functions as Go's tools read them: a file "covcounters".
func encode(hash [16]byte, functions []function) []byte {
	const version, packed, segments = 1, 2, 1
	magic := "\x00cwm"
	content := append(putUint32([]byte(magic), version), hash[:]...)
	content = append(content, packed, 0, 0, 0, 0, 0, 0, 0)
	texts := []byte{1, 0}     // one text, the empty one
	arguments := []byte{0, 0} // none, and padding
	content = putUint64(content, uint64(len(functions)))
	content = putUint32(content, uint32(len(texts)))
	content = putUint32(content, uint32(len(arguments)))
	content = append(append(content, texts...), arguments...)
	for _, f := range functions {
		content = putPacked(content, uint32(len(f.counters)))
		content = putPacked(content, f.slot)
		content = putPacked(content, f.number)
		for _, counter := range f.counters {
			content = putPacked(content, counter)
		}
	}
	content = putUint32(append(content, magic...), 0)
	return putUint32(putUint32(content, segments), 0)
}

// putPacked writes ULEB128.
func putPacked(to []byte, value uint32) []byte {
	for ; value >= 0x80; value >>= 7 {
		to = append(to, byte(value)|0x80)
	}
	return append(to, byte(value))
}
