//go:build linux && (amd64 || arm64)

package podcov

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// recorded is this process where its counters are mapped; else nil.
var recorded *process

// process is one process of a target while it names itself, records and registers.
type process struct {
	data   string
	folder string
	name   string
	pid    int
	start  int
	args   []string
	header *header
	file   int // kept open: its lock says that the process is alive
	memory section
	saver  *saver
}

// record maps the counters of this process and registers it. Nothing that goes wrong here may reach the app: it runs
// on without being recorded, and the start record says why.
func record(data string, args []string) {
	leaveProgram(data)
	folder, err := targetFolder(data)
	if err != nil {
		return // nowhere to say so
	}
	p := &process{data: data, folder: folder, pid: syscall.Getpid(), start: startTime("self"), args: args}
	p.name = strconv.Itoa(p.pid) + "-" + strconv.Itoa(p.start) + "-" + nonce()
	blobs := counterBlobs()
	if len(blobs) == 0 {
		p.register("unsupported", "it was built without -cover, or no package of it is covered")
		return
	}
	if len(blobs) > 1 {
		p.register("failed", "its counters lie in "+strconv.Itoa(len(blobs))+" places: plugins cannot be measured")
		return
	}
	counters := section{blobs[0].Counters, int(blobs[0].Len)}
	if err := p.mapCounters(counters); err != nil {
		p.register("failed", err.Error())
		return
	}
	recorded = p
	p.register("recording", "")
}

// mapCounters begins to record. A process is there for the courier once its header's magic is.
func (p *process) mapCounters(counters section) error {
	file, mapped, err := counters.mapTo(p.path("counters"))
	if err != nil {
		return err
	}
	p.file, p.header, p.memory = file, mapped, counters
	mapped.epoch = p.epochOnDisk()
	atomic.StoreUint64(&mapped.magic, countersMagic)
	// Whoever began an epoch between our first look and this moment did not see us.
	if epoch := p.epochOnDisk(); epoch > mapped.epoch {
		atomic.CompareAndSwapUint32(&mapped.epoch, mapped.epoch, epoch)
	}
	return nil
}

func (p *process) path(suffix string) string {
	return p.folder + "/" + p.name + "." + suffix
}

func (p *process) epochOnDisk() uint32 {
	return uint32(readNumber(p.folder + "/epoch"))
}

// register writes the start record, whole and once.
func (p *process) register(state, reason string) {
	var arguments []string
	for _, argument := range p.args {
		arguments = append(arguments, quoted(argument))
	}
	said := new(object).
		number("protocol", Protocol).
		string("language", "go").
		number("pid", int64(p.pid)).
		number("ppid", int64(syscall.Getppid())).
		number("start_time", int64(p.start)).
		raw("parent", "null").
		number("time", time.Now().UnixNano()).
		string("executable", executable()).
		raw("argv", list(arguments)).
		string("implementation", runtime.Compiler).
		string("version", goVersion()).
		string("state", state).
		optional("reason", reason)
	if state == "recording" {
		said.number("epoch", int64(p.header.epoch))
		if p.header.saves() {
			said.string("recording", "saved").raw("save_interval", strconv.FormatFloat(saveInterval().Seconds(), 'f', -1, 64))
		} else {
			said.string("recording", "mapped")
		}
	}
	writeNew(p.path("start"), []byte(said.String()+"\n")) // a full volume leaves a torn record, which the courier names
}

// MetaFolder is where the meta-data of a program are to be written, once a build; empty where nothing is recorded.
func MetaFolder() string {
	if recorded == nil {
		return ""
	}
	folder := metaFolder(recorded.data)
	if err := makeFolder(folder); err != nil {
		Registered([16]byte{}, nil, err)
		return ""
	}
	return folder
}

// HasMeta says whether another process of this build has written the meta-data. They get their name when they are whole.
func HasMeta(hash [16]byte) bool {
	var stat syscall.Stat_t
	return syscall.Stat(metaPath(recorded.data, hash), &stat) == nil
}

// Registered says that every package has registered: what the counters mean is in the file of meta-data with this hash.
// slots maps the numbers that the compiler gave to packages of the runtime to their places in it.
func Registered(hash [16]byte, slots map[int]int, failure error) {
	if recorded == nil {
		return
	}
	h := recorded.header
	if failure != nil {
		if isFull(failure) {
			h.raise(flagFull)
		}
		h.raise(flagNoMeta)
		return
	}
	syscall.Chmod(metaPath(recorded.data, hash), 0o666) // other users' processes leave it alone, the courier reads it
	h.hash = hash
	for from, slot := range slots {
		if int(h.remaps) < len(h.remap) {
			h.remap[h.remaps] = remap{int32(from), uint32(slot)}
			h.remaps++
		}
	}
	atomic.StoreUint32(&h.registered, 1)
	if h.saves() {
		startSaving(recorded, recorded.memory)
	}
}

// AtExit is to be called when the app exits; nil where there is nothing to do then.
func AtExit() func() {
	if recorded == nil || recorded.saver == nil {
		return nil
	}
	return recorded.saver.finish
}

func metaFolder(data string) string {
	return data + "/go"
}

func metaPath(data string, hash [16]byte) string {
	return metaFolder(data) + "/" + metaName(hash)
}

func metaName(hash [16]byte) string {
	return "covmeta." + hexOf(hash[:])
}

// targetFolder is the folder of this start of this container, made if need be.
func targetFolder(data string) (string, error) {
	start, _ := syscall.Getenv("PODCOV_START")
	if start == "" {
		start = startID()
	}
	folder := data
	for _, name := range []string{"targets", containerName(), start} {
		folder += "/" + name
		if err := makeFolder(folder); err != nil {
			return "", err
		}
	}
	return folder, nil
}

func containerName() string {
	if container, _ := syscall.Getenv("PODCOV_CONTAINER"); container != "" {
		return container
	}
	return "unnamed"
}

// startID is the same for every process of one start of a container, and another after a restart.
func startID() string {
	var namespace syscall.Stat_t
	if syscall.Stat("/proc/self/ns/mnt", &namespace) != nil {
		namespace.Ino = 0
	}
	return strconv.Itoa(startTime("1")) + "-" + strconv.FormatUint(namespace.Ino, 10)
}

// goVersion is runtime.Version without its prefix: 1.26.8.
func goVersion() string {
	version := runtime.Version()
	if len(version) > 2 && version[:2] == "go" {
		version = version[2:]
	}
	for i := 0; i < len(version); i++ {
		if version[i] == ' ' { // experiments follow
			return version[:i]
		}
	}
	return version
}

// readNumber is the number that a file holds; 0 where there is none.
func readNumber(path string) int64 {
	content, err := readFile(path)
	if err != nil {
		return 0
	}
	word, _ := nextWord(content)
	number, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return 0
	}
	return number
}
