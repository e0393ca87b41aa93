// Package numbers knows something about numbers.
package numbers

import "strconv"

// Describe says what a question asks of a number.
func Describe(question, number string) string {
	n, err := strconv.Atoi(number)
	if err != nil {
		return "no number"
	}
	switch question {
	case "parity":
		if n%2 == 0 {
			return "even"
		}
		return "odd"
	case "size":
		if n > 1000 {
			return "large"
		}
		return "small"
	}
	return "no idea"
}

// Halve is called by nobody.
func Halve(n int) int {
	return n / 2
}
