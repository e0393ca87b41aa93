// Package integration asks the running service; CONVERTER_URL says where it is.
package integration

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"testing"
)

func ask(t *testing.T, question string) (status int, value float64) {
	t.Helper()
	url := os.Getenv("CONVERTER_URL")
	if url == "" {
		t.Skip("CONVERTER_URL is not set: there is no service to ask")
	}
	answer, err := http.Get(url + "/convert?" + question)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct{ Value float64 }
	if answer.StatusCode == http.StatusOK {
		if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
	}
	return answer.StatusCode, body.Value
}

func TestConversions(t *testing.T) {
	for question, expected := range map[string]float64{
		"value=26.2188&from=mi&to=km": 42.195,
		"value=98.6&from=F&to=C":      37,
	} {
		status, value := ask(t, question)
		if status != http.StatusOK || math.Abs(value-expected) > 0.01 {
			t.Errorf("%s: %d, %g instead of %g", question, status, value, expected)
		}
	}
}

func TestRefusals(t *testing.T) {
	for question, expected := range map[string]int{
		"value=many&from=m&to=km": http.StatusBadRequest,
		"value=1&from=m&to=kg":    http.StatusUnprocessableEntity,
		"value=1&from=ell&to=m":   http.StatusNotFound,
	} {
		if status, _ := ask(t, question); status != expected {
			t.Errorf("%s: %d instead of %d", question, status, expected)
		}
	}
}
