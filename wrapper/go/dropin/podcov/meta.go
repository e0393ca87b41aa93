//go:build linux && (amd64 || arm64)

package podcov

// layout is what a file of meta-data says about counters: how many each function of each package has.
type layout [][]uint32

// has says whether the program has such a function: a guard against words that only look like the head of one.
func (l layout) has(slot, function, counters uint32) bool {
	return int(slot) < len(l) && int(function) < len(l[slot]) && l[slot][function] == counters
}

// readLayout reads the part of a file of meta-data that is needed here; nil where it makes no sense.
func readLayout(content []byte) layout {
	const (
		fileHeader = 56
		perFunc    = 2 // granularity: one counter a function
	)
	if len(content) < fileHeader || string(content[:4]) != "\x00cvm" {
		return nil
	}
	entries := getUint64(content[16:])
	granularity := content[49]
	if entries > uint64(len(content)-fileHeader)/16 {
		return nil
	}
	var found layout
	for i := uint64(0); i < entries; i++ {
		offset := getUint64(content[fileHeader+8*i:])
		length := getUint64(content[fileHeader+8*(entries+i):])
		if offset > uint64(len(content)) || length > uint64(len(content))-offset {
			return nil
		}
		counters, ok := countersOf(content[offset : offset+length])
		if !ok {
			return nil
		}
		if granularity == perFunc {
			for function := range counters {
				counters[function] = 1
			}
		}
		found = append(found, counters)
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
