// Package greetings is what the service is about, without a word of HTTP. Put your own in its place.
package greetings

import (
	"fmt"
	"sort"
	"strings"
)

const defaultLanguage = "en"

var greetings = map[string]string{"de": "Hallo", "en": "Hello", "fr": "Bonjour"}

// Greeting greets somebody in a language, in English where none is given. It is an error to ask for one that it does not speak.
func Greeting(name, language string) (string, error) {
	if language == "" {
		language = defaultLanguage
	}
	greeting, known := greetings[language]
	if !known {
		return "", fmt.Errorf("no greeting in %q; there are: %s", language, strings.Join(languages(), ", "))
	}
	return fmt.Sprintf("%s, %s!", greeting, name), nil
}

func languages() []string {
	var names []string
	for name := range greetings {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
