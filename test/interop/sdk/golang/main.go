// Command golang signs and verifies with the senders' own Go libraries, as ../sdk.js does
// with those for Node.js: each line on standard input is a request, each line on standard
// output the answer to one. It ends when its input does.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	pagerduty "github.com/PagerDuty/go-pagerduty/webhookv3"
	"github.com/buildkite/go-buildkite/v4"
)

// verifiers are the libraries. None has a function that signs.
var verifiers = map[string]func(r *http.Request, secret string) error{
	"github.com/PagerDuty/go-pagerduty": pagerduty.VerifySignature,
	"github.com/buildkite/go-buildkite": func(r *http.Request, secret string) error {
		_, err := buildkite.ValidatePayload(r, []byte(secret))
		return err
	},
}

type request struct {
	N       int               `json:"n"`
	Op      string            `json:"op"`
	SDK     string            `json:"sdk"`
	Body    []byte            `json:"body"`
	Headers map[string]string `json:"headers"`
	Secret  string            `json:"secret"`
	URL     string            `json:"url"`
	Method  string            `json:"method"`
}

type reply struct {
	N        int    `json:"n"`
	Verifies bool   `json:"verifies"`
	Valid    bool   `json:"valid"`
	Why      string `json:"why,omitempty"`
	Error    string `json:"error,omitempty"`
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for in.More() {
		var r request
		err := in.Decode(&r)
		if err == nil {
			err = out.Encode(answer(r))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func answer(r request) reply {
	a := reply{N: r.N}
	verify, ok := verifiers[r.SDK]
	switch {
	case !ok:
		a.Error = "no such library"
	case r.Op == "ways":
		a.Verifies = true
	case r.Op == "verify":
		genuine, err := http.NewRequest(r.Method, r.URL, bytes.NewReader(r.Body))
		if err != nil {
			a.Error = err.Error()
			return a
		}
		for name, value := range r.Headers {
			genuine.Header.Set(name, value)
		}
		err = verify(genuine, r.Secret)
		if a.Valid = err == nil; err != nil {
			a.Why = err.Error()
		}
	default:
		a.Error = "it cannot " + r.Op
	}
	return a
}
