// Package greeting knows what people say to each other.
package greeting

import "fmt"

var hellos = map[string]string{"en": "Hello", "fr": "Bonjour", "de": "Hallo"}

// Hello greets somebody; English where no language is given.
func Hello(name, language string) (string, error) {
	if language == "" {
		language = "en"
	}
	hello, known := hellos[language]
	if !known {
		return "", fmt.Errorf("no greeting in %q", language)
	}
	if len(name) > 40 {
		name = name[:40] + "..."
	}
	return fmt.Sprintf("%s, %s!", hello, name), nil
}
