//go:build linux && (amd64 || arm64)

package podcov

import (
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// layouts of the builds whose processes are in a volume, each read once.
type layouts struct {
	volume volume
	known  map[[16]byte]layout
}

func (l *layouts) of(c *counterFile) layout {
	if found, is := l.known[c.hash]; is {
		return found
	}
	content, _ := readFile(metaPath(l.volume.path, c.hash))
	found := readLayout(content)
	if l.known == nil {
		l.known = map[[16]byte]layout{}
	}
	l.known[c.hash] = found
	return found
}

const (
	noMain   = "it has not begun main: what its packages ran while they were initialised cannot be told apart yet"
	notSaved = "it did not save what it counts outside its file: is it stopped?"
	noMeta   = "the meta-data of its build are missing or damaged: was the volume full?"
)

// move begins an epoch in one process: what is in its counters goes into a file of the epoch that it belongs to.
// It returns the state of the process and, where that is "failed", why.
func (p *remains) move(epoch uint32, metas *layouts, deadline time.Time) (state, reason string) {
	counters, problem := p.open()
	if counters == nil {
		return "failed", problem
	}
	defer counters.close()
	if !counters.alive {
		return "gone", ""
	}
	from := atomic.LoadUint32(&counters.header.epoch)
	if from >= epoch {
		return "acknowledged", ""
	}
	waitForMain(counters, deadline)
	if !p.isSaved(counters, deadline) {
		return "failed", notSaved
	}
	if counters.known() {
		if problem := p.keep(counters, metas.of(counters), from); problem != "" {
			return "failed", problem
		}
	} // else all that it ran so far counts for the epoch in which it begins main
	atomic.CompareAndSwapUint32(&counters.header.epoch, from, epoch)
	return "acknowledged", ""
}

// waitForMain waits a little for a process that has only just begun.
func waitForMain(counters *counterFile, deadline time.Time) {
	const pause = 5 * time.Millisecond
	soon := time.Now().Add(time.Second)
	for counters.alive && !counters.known() && time.Now().Before(soon) && time.Now().Before(deadline) {
		time.Sleep(pause)
	}
}

// keep writes the counters to a file and sets them to 0. They are written first: a courier that is killed between the
// two loses nothing. It returns what went wrong; then nothing was changed.
func (p *remains) keep(counters *counterFile, meta layout, epoch uint32) (problem string) {
	if meta.functions == nil {
		return noMeta
	}
	functions := counters.functions(meta)
	if len(functions) == 0 {
		return ""
	}
	path := p.freePart(epoch)
	if err := replaceFile(path, encode(counters.hash, functions)); err != nil {
		return "the counters of the last epoch cannot be written: " + err.Error()
	}
	if counters.take(functions) {
		if err := replaceFile(path, encode(counters.hash, functions)); err != nil {
			counters.giveBack(functions)
			return "the counters of the last epoch cannot be written: " + err.Error()
		}
	}
	return ""
}

// freePart is a name for a file of an epoch. There is one of that epoch already where a courier was killed at a mark.
func (p *remains) freePart(epoch uint32) string {
	for number := 0; ; number++ {
		path := p.path(strconv.Itoa(int(epoch)) + "." + strconv.Itoa(number) + ".covcounters")
		var stat syscall.Stat_t
		if syscall.Stat(path, &stat) != nil {
			return path
		}
	}
}

// running is the file of the current epoch as it stands, with its name; no name where there is nothing.
func (p *remains) running(counters *counterFile, metas *layouts) (name string, content []byte) {
	if !counters.known() {
		return "", nil
	}
	meta := metas.of(counters)
	if meta.functions == nil {
		return "", nil
	}
	epoch := atomic.LoadUint32(&counters.header.epoch)
	functions := counters.functions(meta)
	return p.name + "." + strconv.Itoa(int(epoch)) + ".now.covcounters", encode(counters.hash, functions)
}
