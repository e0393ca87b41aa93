// Package words is somebody else's.
package words

// Plural of an English noun, more or less.
func Plural(noun string, count int) string {
	if count == 1 {
		return noun
	}
	return noun + "s"
}
