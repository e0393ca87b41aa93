package greetings

import "testing"

func TestGreetsInEachLanguage(t *testing.T) {
	for language, want := range map[string]string{
		"":   "Hello, Ada!",
		"de": "Hallo, Ada!",
		"en": "Hello, Ada!",
		"fr": "Bonjour, Ada!",
	} {
		if got, err := Greeting("Ada", language); got != want || err != nil {
			t.Errorf("Greeting(%q, %q) = %q, %v, want %q", "Ada", language, got, err, want)
		}
	}
}

func TestSaysWhichLanguagesThereAre(t *testing.T) {
	_, err := Greeting("Ada", "tlh")
	if want := `no greeting in "tlh"; there are: de, en, fr`; err == nil || err.Error() != want {
		t.Errorf("it says %v, want %s", err, want)
	}
}
