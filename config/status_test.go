package config

import "testing"

func TestStatuses(t *testing.T) {
	set, err := ParseStatuses([]string{"2xx", "404", "500-502"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{199: false, 200: true, 299: true, 300: false, 404: true, 403: false, 500: true, 502: true, 503: false} {
		if set.Has(status) != want {
			t.Errorf("Has(%d) = %t", status, !want)
		}
	}
}
