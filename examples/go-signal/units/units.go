// Package units knows lengths, masses and temperatures.
package units

import (
	"errors"
	"fmt"
)

// ErrUnknown is what Convert fails with where it has never heard of a unit.
var ErrUnknown = errors.New("unknown unit")

type unit struct {
	kind string
	// factor and offset lead to the base unit of the kind: base = value*factor + offset.
	factor, offset float64
}

var known = map[string]unit{
	"m":  {"length", 1, 0},
	"km": {"length", 1000, 0},
	"mi": {"length", 1609.344, 0},
	"kg": {"mass", 1, 0},
	"lb": {"mass", 0.45359237, 0},
	"K":  {"temperature", 1, 0},
	"C":  {"temperature", 1, 273.15},
	"F":  {"temperature", 5.0 / 9, 459.67 * 5 / 9},
}

// Convert says how much value, in the unit from, is in the unit to.
func Convert(value float64, from, to string) (float64, error) {
	source, err := find(from)
	if err != nil {
		return 0, err
	}
	target, err := find(to)
	if err != nil {
		return 0, err
	}
	if source.kind != target.kind {
		return 0, fmt.Errorf("a %s is no %s", source.kind, target.kind)
	}
	base := value*source.factor + source.offset
	if source.kind == "temperature" && base < 0 {
		return 0, errors.New("nothing is as cold as that")
	}
	return (base - target.offset) / target.factor, nil
}

func find(name string) (unit, error) {
	if found, ok := known[name]; ok {
		return found, nil
	}
	return unit{}, fmt.Errorf("%w: %q", ErrUnknown, name)
}
