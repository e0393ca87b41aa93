//go:build linux && (amd64 || arm64)

package podcov

// layout is what a file of meta-data says about counters.
type layout struct {
	functions [][]uint32 // how many counters each function of each package has
	set       bool       // a counter is 1 where something ran, however often
}

// has says whether the program has such a function: a guard against words that only look like the head of one.
func (l layout) has(slot, function, counters uint32) bool {
	return int(slot) < len(l.functions) && int(function) < len(l.functions[slot]) && l.functions[slot][function] == counters
}

// readLayout reads the part of a file of meta-data that is needed here; no functions where it makes no sense.
func readLayout(content []byte) layout {
	const (
		fileHeader = 56
		set        = 1 // mode
		perFunc    = 2 // granularity: one counter a function
	)
	if len(content) < fileHeader || string(content[:4]) != "\x00cvm" {
		return layout{}
	}
	entries := getUint64(content[16:])
	mode, granularity := content[48], content[49]
	if entries > uint64(len(content)-fileHeader)/16 {
		return layout{}
	}
	found := layout{set: mode == set}
	for i := uint64(0); i < entries; i++ {
		offset := getUint64(content[fileHeader+8*i:])
		length := getUint64(content[fileHeader+8*(entries+i):])
		if offset > uint64(len(content)) || length > uint64(len(content))-offset {
			return layout{}
		}
		counters, ok := countersOf(content[offset : offset+length])
		if !ok {
			return layout{}
		}
		if granularity == perFunc {
			for function := range counters {
				counters[function] = 1
			}
		}
		found.functions = append(found.functions, counters)
	}
	return found
}

// countersOf is the number of counters of each function of a package.
func countersOf(blob []byte) (counters []uint32, ok bool) {
	const header = 44
	if len(blob) < header {
		return nil, false
	}
	functions := int(getUint32(blob[40:]))
	if functions > (len(blob)-header)/4 {
		return nil, false
	}
	counters = make([]uint32, functions)
	for i := range counters {
		offset := int(getUint32(blob[header+4*i:]))
		for shift := 0; ; shift += 7 {
			if offset >= len(blob) || shift > 28 {
				return nil, false
			}
			part := blob[offset]
			counters[i] |= uint32(part&0x7f) << shift
			offset++
			if part < 0x80 {
				break
			}
		}
	}
	return counters, true
}
