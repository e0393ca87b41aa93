//go:build linux && (amd64 || arm64)

package podcov

import (
	"strconv"
	"unicode/utf8"
)

// object writes a JSON object by hand: encoding/json needs os, and would make every binary larger.
type object struct {
	text []byte
}

func (o *object) raw(key string, value string) *object {
	separator := byte(',')
	if len(o.text) == 0 {
		separator = '{'
	}
	o.text = append(o.text, separator)
	o.text = append(appendQuoted(o.text, key), ':')
	o.text = append(o.text, value...)
	return o
}

func (o *object) string(key, value string) *object {
	return o.raw(key, quoted(value))
}

func (o *object) number(key string, value int64) *object {
	return o.raw(key, strconv.FormatInt(value, 10))
}

func (o *object) truth(key string, value bool) *object {
	return o.raw(key, strconv.FormatBool(value))
}

// optional writes null for an empty text.
func (o *object) optional(key, value string) *object {
	if value == "" {
		return o.raw(key, "null")
	}
	return o.string(key, value)
}

func (o *object) String() string {
	if len(o.text) == 0 {
		return "{}"
	}
	return string(o.text) + "}"
}

// list is a JSON list of what is JSON already.
func list(values []string) string {
	text := []byte{'['}
	for i, value := range values {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, value...)
	}
	return string(append(text, ']'))
}

func quoted(text string) string {
	return string(appendQuoted(nil, text))
}

// appendQuoted writes ASCII; bytes that are no UTF-8 become the surrogates that Python reads them as.
func appendQuoted(to []byte, text string) []byte {
	to = append(to, '"')
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			to = appendEscape(to, 0xDC00+rune(text[i]))
		case r == '"' || r == '\\':
			to = append(to, '\\', byte(r))
		case r >= ' ' && r <= '~':
			to = append(to, byte(r))
		case r > 0xFFFF:
			to = appendEscape(appendEscape(to, 0xD800+(r-0x10000)>>10), 0xDC00+(r-0x10000)&0x3FF)
		default:
			to = appendEscape(to, r)
		}
		i += size
	}
	return append(to, '"')
}

func appendEscape(to []byte, r rune) []byte {
	return append(to, "\\u"+hexOf([]byte{byte(r >> 8), byte(r)})...)
}
