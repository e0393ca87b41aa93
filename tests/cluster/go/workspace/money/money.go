// Package money is a module of its own in the workspace.
package money

import "fmt"

// Amount is in cents.
type Amount int

func (a Amount) String() string {
	if a < 0 {
		return "-" + (-a).String()
	}
	return fmt.Sprintf("%d.%02d", a/100, a%100)
}
