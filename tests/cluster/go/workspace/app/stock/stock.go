// Package stock is what both commands know.
package stock

import (
	"fmt"

	"example.com/money"
	"example.com/words"
)

type item struct {
	count int
	price money.Amount
}

var items = map[string]item{"apple": {3, 45}, "pear": {1, -10}}

// Price is asked by the front.
func Price(name string) (string, bool) {
	found, there := items[name]
	if !there {
		return "", false
	}
	return found.price.String(), true
}

// Count is asked by the back.
func Count(name string) string {
	count := items[name].count
	if count == 0 {
		return "no " + words.Plural(name, count)
	}
	return fmt.Sprintf("%d %s", count, words.Plural(name, count))
}

// Reorder is asked by nobody.
func Reorder(name string) int {
	return max(0, 10-items[name].count)
}
