//go:build linux && (amd64 || arm64)

package podcov

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	standardOutput = 1
	standardError  = 2

	answerSeconds = "20"
	waitStep      = 100 * time.Millisecond
)

// command is one of the courier's. usage has a word for each parameter, optional ones in brackets.
type command struct {
	name  string
	usage string
	run   func(v volume, parameters []string) error
}

func commands() []command {
	return []command{
		{"serve", "", serve},
		{"unpack", "", unpack},
		{"status", "", status},
		{"mark", "RUN LABEL [SECONDS]", begin},
		{"dump", "[SECONDS]", dump},
		{"pull", "", pull},
		{"sources", "", sources},
		{"lease", "SECONDS", lease},
		{"wait", "SECONDS", wait},
		{"release", "", release},
	}
}

// runCourier runs one command and returns the exit code. Results go to stdout, trouble is one line on stderr.
func runCourier(v volume, arguments []string) int {
	if len(arguments) == 0 {
		arguments = []string{""}
	}
	var known []string
	for _, c := range commands() {
		known = append(known, c.name)
		if c.name != arguments[0] {
			continue
		}
		words := strings.Fields(c.usage)
		least := len(words) - strings.Count(c.usage, "[")
		if given := len(arguments) - 1; given < least || given > len(words) {
			return complain("usage: "+CourierArgument+" "+c.name+" "+c.usage, 2)
		}
		if err := c.run(v, arguments[1:]); err != nil {
			return complain(c.name+": "+err.Error(), 1)
		}
		return 0
	}
	return complain("'"+arguments[0]+"' is no command; there are: "+strings.Join(known, ", "), 2)
}

func complain(text string, code int) int {
	writeAll(standardError, []byte("podcov courier: "+oneField(text)+"\n"))
	return code
}

func say(document *object) error {
	return writeAll(standardOutput, []byte(document.String()+"\n"))
}

// unpack has nothing to do: the program is its own wrapper.
func unpack(v volume, _ []string) error {
	return say(new(object).number("protocol", Protocol).string("folder", v.path).string("go", goVersion()))
}

func status(v volume, _ []string) error {
	return say(document(describeAll(v), time.Now()))
}

func document(targets []*object, moment time.Time) *object {
	var texts []string
	for _, t := range targets {
		texts = append(texts, t.String())
	}
	return new(object).number("protocol", Protocol).number("time", moment.UnixNano()).raw("targets", list(texts))
}

func describeAll(v volume) []*object {
	var described []*object
	for _, t := range v.targets() {
		described = append(described, t.describe())
	}
	return described
}

func (t target) describe() *object {
	var epochs, processes []string
	for _, m := range t.epochs() {
		epochs = append(epochs, new(object).
			number("epoch", int64(m.epoch)).string("run", m.run).string("label", m.label).number("time", m.time).String())
	}
	for _, p := range t.processes() {
		processes = append(processes, p.describe().String())
	}
	return t.named(t.epoch()).
		raw("epochs", list(epochs)).
		raw("processes", list(processes)).
		raw("unregistered", "[]").
		truth("scanned", false).
		string("scan_reason", "Go programs that were built without podcov look like any other program")
}

func (t target) named(epoch uint32) *object {
	return new(object).string("container", t.container).string("start_id", t.start).number("epoch", int64(epoch))
}

func (p *remains) describe() *object {
	said := new(object).string("id", p.name)
	if p.record == "" {
		said.raw("start", "null")
	} else {
		said.raw("start", p.record)
	}
	alive, flags, ended, reason, epochs := "null", uint32(0), false, p.problem, p.epochs()
	if counters, problem := p.open(); counters != nil {
		alive, flags, ended = strconv.FormatBool(counters.alive), counters.header.flags, counters.finished != 0
		epochs = append(epochs, strconv.Itoa(int(counters.header.epoch)))
		if reason == "" {
			reason = counters.trouble()
		}
		counters.close()
	} else if reason == "" && p.records() {
		reason = problem
	} else if reason == "" {
		reason = "it is not recorded"
	}
	return said.
		raw("alive", alive).
		string("reason", reason).
		truth("ended", ended).
		raw("epochs", list(epochs)).
		number("flags", int64(flags))
}

// trouble is why what the counters hold cannot be reported; empty where it can.
func (c *counterFile) trouble() string {
	switch {
	case c.header.flags&flagNoMeta != 0:
		return noMeta
	case c.known():
		return ""
	case c.alive:
		return noMain
	}
	return "it ended before main began: what its packages ran while they were initialised cannot be told apart"
}

// epochs that are over and in which the process ran something, as JSON.
func (p *remains) epochs() []string {
	var found []string
	for _, part := range p.parts {
		if number := strconv.Itoa(part.epoch); len(found) == 0 || found[len(found)-1] != number {
			found = append(found, number)
		}
	}
	return found
}

// begin is the command mark: it raises the epoch before it moves anybody.
func begin(v volume, parameters []string) error {
	patience, err := seconds(append(parameters, answerSeconds)[2])
	if err != nil {
		return err
	}
	if err := v.exists(); err != nil {
		return err
	}
	return v.locked(func() error {
		targets := v.targets()
		epoch := 0
		for _, t := range targets {
			if last := t.lastEpoch(); last > epoch {
				epoch = last
			}
		}
		epoch++
		for _, t := range targets {
			if err := t.begin(epoch, parameters[0], parameters[1]); err != nil {
				return err
			}
		}
		began, deadline, metas := time.Now(), time.Now().Add(patience), &layouts{volume: v}
		var described []*object
		for _, t := range targets {
			described = append(described, t.answer(uint32(epoch), func(p *remains) (string, string) {
				return p.move(uint32(epoch), metas, deadline)
			}))
		}
		return say(document(described, began))
	})
}

// answer asks each process of a target that records.
func (t target) answer(epoch uint32, ask func(*remains) (state, reason string)) *object {
	var processes []string
	for _, p := range t.processes() {
		if p.records() {
			state, reason := ask(p)
			processes = append(processes, new(object).string("id", p.name).string("state", state).string("reason", reason).String())
		}
	}
	return t.named(epoch).raw("processes", list(processes))
}

// dump has something to wait for only where not all counters are mapped.
func dump(v volume, parameters []string) error {
	patience, err := seconds(append(parameters, answerSeconds)[0])
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	if err := v.exists(); err != nil {
		return err
	}
	var described []*object
	for _, t := range v.targets() {
		described = append(described, t.answer(t.epoch(), func(p *remains) (string, string) {
			counters, problem := p.open()
			if counters == nil {
				return "failed", problem
			}
			defer counters.close()
			return p.dumped(counters, deadline)
		}))
	}
	return say(document(described, time.Now()))
}

func (p *remains) dumped(counters *counterFile, deadline time.Time) (state, reason string) {
	if trouble := counters.trouble(); trouble != "" {
		return "failed", trouble
	}
	if !p.isSaved(counters, deadline) {
		return "failed", notSaved
	}
	if counters.saves() && !counters.alive && counters.finished == 0 {
		return "bounded", "it ended without a last save: what it counted outside its file since the one before is missing"
	}
	return "complete", ""
}

// pull sends what processes left, with Go's own files of counters in the place of the mapped ones; see PROTOCOL.md.
func pull(v volume, _ []string) error {
	if err := v.exists(); err != nil {
		return err
	}
	b := &bundle{}
	var described []*object
	err := v.locked(func() error { // no mark meanwhile
		metas := &layouts{volume: v}
		for _, t := range v.targets() {
			t.pack(b, metas)
			described = append(described, t.describe().raw("sources", list(describeMetas(v))))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.write(standardOutput, document(described, time.Now()))
}

func (t target) pack(b *bundle, metas *layouts) {
	folder := "targets/" + t.container + "/" + t.start + "/"
	for _, p := range t.processes() {
		if counters, _ := p.open(); counters != nil {
			p.isSaved(counters, time.Now().Add(time.Second)) // dump says of whom that cannot be had
			if name, content := p.running(counters, metas); name != "" {
				b.add(folder+name, content)
			}
			counters.close()
		}
	}
	for _, name := range sortedNames(t.path) {
		if strings.HasSuffix(name, ".counters") || strings.HasSuffix(name, ".sock") || strings.HasSuffix(name, ".tmp") {
			continue
		}
		if content, err := readFile(t.path + "/" + name); err == nil {
			b.add(folder+name, content)
		}
	}
}

// describeMetas lists the files of meta-data as sources: each is known by its digest and moved once.
func describeMetas(v volume) []string {
	var found []string
	for _, name := range sortedNames(metaFolder(v.path)) {
		if content, err := readFile(metaFolder(v.path) + "/" + name); err == nil && strings.HasPrefix(name, "covmeta.") {
			found = append(found, new(object).
				string("path", name).
				number("size", int64(len(content))).
				number("mtime", 0).
				string("digest", "sha256:"+sha256Hex(content)).
				string("reason", "").
				String())
		}
	}
	return found
}

func sources(v volume, _ []string) error {
	input, err := readFrame()
	if err != nil {
		return err
	}
	b := &bundle{}
	for _, name := range sortedNames(metaFolder(v.path)) {
		content, err := readFile(metaFolder(v.path) + "/" + name)
		if digest := "sha256:" + sha256Hex(content); err == nil && strings.Contains(string(input), quoted(digest)) {
			b.add("sources/"+digest, content)
		}
	}
	return b.write(standardOutput, new(object).number("protocol", Protocol))
}

// readFrame reads a length, a newline and so many bytes.
func readFrame() ([]byte, error) {
	var line []byte
	for len(line) < 20 {
		var one [1]byte
		n, err := syscall.Read(0, one[:])
		if err == syscall.EINTR {
			continue
		}
		if n != 1 || one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	length, err := strconv.ParseUint(string(line), 10, 31)
	if err != nil {
		return nil, errors.New("its input begins with " + quoted(string(line)) + " instead of its length")
	}
	content := make([]byte, length)
	for done := 0; done < len(content); {
		n, err := syscall.Read(0, content[done:])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			return nil, errors.New("its input was cut off after " + strconv.Itoa(done) + " of " + strconv.Itoa(len(content)) + " bytes")
		}
		done += n
	}
	return content, nil
}

func (v volume) exists() error {
	var stat syscall.Stat_t
	if syscall.Stat(v.path, &stat) != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return errors.New("there is no data volume at " + v.path)
	}
	return nil
}

func seconds(text string) (time.Duration, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number >= 0 && number < 1e6) {
		return 0, errors.New(quoted(text) + " is no number of seconds")
	}
	return time.Duration(number * float64(time.Second)), nil
}
