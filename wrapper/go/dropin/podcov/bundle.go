//go:build linux && (amd64 || arm64)

package podcov

import "strconv"

// bundle is many files in one stream, with sums that show whether all of it arrived.
type bundle struct {
	entries  []string
	contents [][]byte
}

func (b *bundle) add(path string, content []byte) {
	b.entries = append(b.entries, new(object).
		string("path", path).
		number("size", int64(len(content))).
		number("stored", int64(len(content))).
		string("encoding", "identity").
		string("sha256", sha256Hex(content)).
		String())
	b.contents = append(b.contents, content)
}

// write sends the bundle behind its manifest.
func (b *bundle) write(to int, manifest *object) error {
	head := manifest.raw("files", list(b.entries)).String()
	pieces := append([][]byte{
		[]byte("podcov-bundle 1 " + strconv.Itoa(len(head)) + "\n"),
		[]byte(head),
	}, b.contents...)
	sum := newSHA256()
	for _, piece := range pieces {
		sum.write(piece)
		if err := writeAll(to, piece); err != nil {
			return err
		}
	}
	return writeAll(to, []byte("\nend "+sum.hex()+"\n"))
}
