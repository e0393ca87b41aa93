//go:build linux && (amd64 || arm64)

package podcov

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Where the first or the last page of the counters holds variables of others, too, that page is not mapped: a linker
// lays a few of a static libc's behind them. What is counted there is moved into the file every few seconds, when a
// courier asks for it, and at exit; the start record says so.

const (
	defaultInterval = 2 * time.Second
	lookInterval    = 50 * time.Millisecond
)

// saver moves what is counted outside the mapping into the file.
type saver struct {
	mutex    sync.Mutex
	counters *counterFile // the file
	memory   []uint32     // the counters as the app counts them
	meta     layout
}

// startSaving is called when it is known what the counters mean. A failure shows as a save that never comes.
func startSaving(p *process, memory section) {
	content, err := readFile(metaPath(p.data, p.header.hash))
	if err != nil {
		return
	}
	counters, err := openCounters(p.path("counters"))
	if err != nil {
		return
	}
	p.saver = &saver{
		counters: counters,
		memory:   unsafe.Slice(memory.first, memory.words),
		meta:     readLayout(content),
	}
	p.saver.save()
	go p.saver.run()
}

func (s *saver) run() {
	interval := saveInterval()
	for last := time.Now(); ; time.Sleep(lookInterval) {
		wanted := atomic.LoadUint32(&s.counters.wanted)
		if wanted != atomic.LoadUint32(&s.counters.saved) || time.Since(last) >= interval {
			s.save()
			atomic.StoreUint32(&s.counters.saved, wanted)
			last = time.Now()
		}
	}
}

// save moves counts; the heads of functions are copied.
func (s *saver) save() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	h := s.counters
	found, _ := h.scan(copyOf(s.memory), s.meta)
	for _, f := range found {
		for i := f.first - functionHead; i < f.first+len(f.counters); i++ {
			if !h.isMapped(i) {
				s.move(i, i < f.first)
			}
		}
	}
}

// move has the word in the file be what it was in memory; counts leave that, so that none is moved twice.
func (s *saver) move(word int, head bool) {
	memory, file := &s.memory[word], &s.counters.words[word]
	if head {
		atomic.StoreUint32(file, atomic.LoadUint32(memory))
		return
	}
	count := atomic.SwapUint32(memory, 0)
	switch {
	case count == 0:
	case s.meta.set:
		atomic.StoreUint32(file, count)
	default:
		atomic.AddUint32(file, count)
	}
}

// finish is called when the app exits in a way that lets it.
func (s *saver) finish() {
	s.save()
	atomic.StoreUint32(&s.counters.finished, 1)
}

// isMapped says whether a word is counted in the file at once.
func (h *header) isMapped(word int) bool {
	return word >= int(h.mappedFrom) && word < int(h.mappedTo)
}

// saves says whether something has to be moved into the file.
func (h *header) saves() bool {
	return h.mappedFrom > 0 || h.mappedTo < h.words
}

func saveInterval() time.Duration {
	text, _ := syscall.Getenv("PODCOV_SAVE_INTERVAL")
	if given, err := seconds(text); err == nil && given > 0 {
		return given
	}
	return defaultInterval
}

// isSaved has a process that saves do so now, and waits for it. True where there is nothing to wait for.
func (p *remains) isSaved(counters *counterFile, deadline time.Time) bool {
	if !counters.saves() || !counters.alive || !counters.known() {
		return true
	}
	wanted := atomic.AddUint32(&counters.wanted, 1)
	for atomic.LoadUint32(&counters.saved) < wanted {
		if !time.Now().Before(deadline) {
			return false
		}
		if again, _ := p.open(); again != nil {
			alive := again.alive
			again.close()
			if !alive {
				counters.alive = false
				return true
			}
		}
		time.Sleep(lookInterval / 5)
	}
	return true
}
