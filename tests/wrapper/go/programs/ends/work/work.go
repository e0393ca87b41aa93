package work

import "strings"

func Even(n int) bool {
	if n%2 == 0 {
		return true
	}
	return false
}

func Sum(n int) (sum int) {
	for i := 0; i < n; i++ {
		switch {
		case i > 100:
			sum += 2 * i
		default:
			sum += i
		}
	}
	return sum
}

func Never(words []string) string {
	return strings.Join(words, " ")
}
