//go:build linux && (amd64 || arm64)

package podcov

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// volume is a data volume as the courier sees it.
type volume struct {
	path string
}

func (v volume) courier(name string) string {
	return v.path + "/courier/" + name
}

// make makes the folders that processes of any user write into.
func (v volume) make() error {
	for _, folder := range []string{v.path, v.path + "/courier", v.path + "/targets"} {
		if err := makeFolder(folder); err != nil {
			return errors.New(folder + ": " + err.Error())
		}
	}
	return nil
}

// locked has one courier at a time work on the volume.
func (v volume) locked(work func() error) error {
	if err := v.make(); err != nil {
		return err
	}
	lock, err := create(v.courier("lock"), syscall.O_RDWR)
	if err != nil {
		return err
	}
	defer syscall.Close(lock)
	for {
		err := syscall.Flock(lock, syscall.LOCK_EX)
		if err == nil {
			return work()
		}
		if err != syscall.EINTR {
			return err
		}
	}
}

// targets are in the order of their names.
func (v volume) targets() []target {
	var found []target
	top := v.path + "/targets"
	for _, container := range sortedNames(top) {
		for _, start := range sortedNames(top + "/" + container) {
			found = append(found, target{v, container, start, top + "/" + container + "/" + start})
		}
	}
	return found
}

func sortedNames(path string) []string {
	found := names(path)
	sort.Strings(found)
	return found
}

// target is one start of one container.
type target struct {
	volume    volume
	container string
	start     string
	path      string
}

func (t target) epoch() uint32 {
	return uint32(readNumber(t.path + "/epoch"))
}

// mark is one line of a target's epochs.
type mark struct {
	epoch      int
	run, label string
	time       int64
}

// epochs are what began each epoch since the first. Torn lines are left out.
func (t target) epochs() []mark {
	content, _ := readFile(t.path + "/epochs")
	var found []mark
	for _, line := range strings.Split(string(content), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != 4 {
			continue
		}
		epoch, wrong := strconv.Atoi(fields[0])
		moment, alsoWrong := strconv.ParseInt(fields[3], 10, 64)
		if wrong == nil && alsoWrong == nil {
			found = append(found, mark{epoch, fields[1], fields[2], moment})
		}
	}
	return found
}

func (t target) lastEpoch() int {
	last := int(t.epoch())
	for _, mark := range t.epochs() {
		if mark.epoch > last {
			last = mark.epoch
		}
	}
	return last
}

// begin makes processes that begin from now on begin in this epoch.
func (t target) begin(epoch int, run, label string) error {
	path := t.path + "/epochs"
	line := strconv.Itoa(epoch) + "\t" + oneField(run) + "\t" + oneField(label) + "\t" + strconv.FormatInt(time.Now().UnixNano(), 10) + "\n"
	if lines, err := readFile(path); err == nil && len(lines) > 0 && lines[len(lines)-1] != '\n' {
		line = "\n" + line // a line that a full volume cut off
	}
	file, err := create(path, syscall.O_WRONLY|syscall.O_APPEND)
	if err != nil {
		return err
	}
	err = writeAll(file, []byte(line))
	syscall.Close(file)
	if err != nil {
		return err
	}
	return replaceFile(t.path+"/epoch", []byte(strconv.Itoa(epoch)+"\n"))
}

func oneField(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

// remains are what one process left in its target's folder.
type remains struct {
	target   target
	name     string
	pid      int
	started  int
	counters bool
	parts    []part
	record   string // JSON; empty where it is missing or damaged
	problem  string
}

// part is a file with the counters of an epoch that is over.
type part struct {
	name  string
	epoch int
}

// processes are in the order in which they began.
func (t target) processes() []*remains {
	byName := map[string]*remains{}
	var found []*remains
	for _, name := range sortedNames(t.path) {
		process, suffix, is := strings.Cut(name, ".")
		pid, started, is := processName(process, is)
		if !is || strings.HasSuffix(name, ".tmp") {
			continue
		}
		p := byName[process]
		if p == nil {
			p = &remains{target: t, name: process, pid: pid, started: started}
			byName[process] = p
			found = append(found, p)
		}
		p.add(name, suffix)
	}
	for _, p := range found {
		p.readRecord()
	}
	sort.SliceStable(found, func(i, j int) bool {
		if found[i].started != found[j].started {
			return found[i].started < found[j].started
		}
		return found[i].pid < found[j].pid
	})
	return found
}

// processName takes <pid>-<start time>-<nonce> apart.
func processName(name string, is bool) (pid, started int, _ bool) {
	fields := strings.Split(name, "-")
	if !is || len(fields) != 3 || len(fields[2]) != 8 {
		return 0, 0, false
	}
	pid, wrong := strconv.Atoi(fields[0])
	started, alsoWrong := strconv.Atoi(fields[1])
	return pid, started, wrong == nil && alsoWrong == nil
}

func (p *remains) add(name, suffix string) {
	if suffix == "counters" {
		p.counters = true
	}
	if fields := strings.Split(suffix, "."); len(fields) == 3 && fields[2] == "covcounters" {
		if epoch, err := strconv.Atoi(fields[0]); err == nil {
			p.parts = append(p.parts, part{name, epoch})
		}
	}
}

func (p *remains) path(suffix string) string {
	return p.target.path + "/" + p.name + "." + suffix
}

// readRecord reads the start record. One that is being written at this moment is waited for.
func (p *remains) readRecord() {
	const attempts, pause = 50, 10 * time.Millisecond
	for attempt := 0; attempt < attempts; attempt++ {
		content, err := readFile(p.path("start"))
		switch {
		case err != nil:
			p.problem = "its start record is missing"
		case len(content) > 0 && content[len(content)-1] == '\n' && content[0] == '{':
			p.record, p.problem = strings.TrimSpace(string(content)), ""
			return
		default:
			p.problem = "its start record is torn: still being written, or the volume was full"
		}
		time.Sleep(pause)
	}
}

// records says whether the process records, as its record says.
func (p *remains) records() bool {
	return p.says("state", "recording")
}

// says looks for a text in the start record, which other languages write with other blanks.
func (p *remains) says(key, value string) bool {
	return strings.Contains(p.record, quoted(key)+":"+quoted(value)) || strings.Contains(p.record, quoted(key)+": "+quoted(value))
}

// open maps the counters; nil, and why, where there are none.
func (p *remains) open() (*counterFile, string) {
	if p.record != "" && !p.says("language", "go") {
		return nil, "it is not a Go process, and the courier is one that knows no other: give its container a data volume of its own"
	}
	if !p.counters {
		return nil, "its file of counters is missing"
	}
	counters, err := openCounters(p.path("counters"))
	if err != nil {
		return nil, err.Error()
	}
	return counters, ""
}
