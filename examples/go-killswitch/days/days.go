// Package days counts them.
package days

import "time"

// Between is how many days lie between two dates, whichever is the earlier one.
func Between(from, to time.Time) int {
	if to.Before(from) {
		from, to = to, from
	}
	return int(to.Sub(from).Hours() / 24)
}

// WeekOf is the first day of the week that a day is in.
func WeekOf(day time.Time, first time.Weekday) time.Time {
	back := int(day.Weekday() - first)
	if back < 0 {
		back += 7
	}
	return day.AddDate(0, 0, -back)
}

// IsLeap says whether a year has a 29th of February.
func IsLeap(year int) bool {
	switch {
	case year%400 == 0:
		return true
	case year%100 == 0:
		return false
	default:
		return year%4 == 0
	}
}
