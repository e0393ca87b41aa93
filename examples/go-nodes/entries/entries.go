// Package entries is an audit log in memory.
package entries

import (
	"errors"
	"sync"
)

// Most is how many entries a Log holds.
const Most = 1000

// Entry is something that a service did.
type Entry struct {
	Service string `json:"service"`
	Action  string `json:"action"`
	Level   string `json:"level"`
}

// InvalidError names what is wrong with an entry.
type InvalidError string

func (e InvalidError) Error() string { return "invalid entry: " + string(e) }

// Log holds entries in the order in which they came. Its zero value is empty and ready to use.
type Log struct {
	lock    sync.Mutex
	entries []Entry
}

// Add keeps an entry; an InvalidError where something is wrong with it.
func (l *Log) Add(entry Entry) error {
	if entry.Service == "" || entry.Action == "" {
		return InvalidError("service and action are needed")
	}
	switch entry.Level {
	case "", "info", "warning", "error":
	default:
		return InvalidError("level is info, warning or error")
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	if len(l.entries) == Most {
		return errors.New("the log is full")
	}
	l.entries = append(l.entries, entry)
	return nil
}

// Of has the entries of one service, or all of them.
func (l *Log) Of(service string) []Entry {
	l.lock.Lock()
	defer l.lock.Unlock()
	found := []Entry{}
	for _, entry := range l.entries {
		if service == "" || entry.Service == service {
			found = append(found, entry)
		}
	}
	return found
}
