//go:build linux

package traffic_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/traffic"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The catalogue's own rules accept every generated event, and no forged one.
func TestEventsAreGenuineUniqueAndOfTheirSize(t *testing.T) {
	t.Parallel()
	for _, sender := range traffic.Senders() {
		t.Run(sender.Name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1 << 10, 256 << 10} {
				seen := make(map[string]bool)
				for _, made := range traffic.Make(t, sender, size, 9, testbed.Event{}) {
					req, body := read(t, append(made.Head, made.Tail...))
					if len(body) != size || !json.Valid(body) || seen[string(body)] {
						t.Fatalf("a body of %d bytes, not %d; JSON: %v; seen before: %v", len(body), size, json.Valid(body), seen[string(body)])
					}
					seen[string(body)] = true
					if err := verify(t, sender, req, body); err != nil {
						t.Fatal(err)
					}
				}
			}
			if sender.SignatureHeader == "" {
				return
			}
			forged := traffic.Make(t, traffic.Forger(sender), 1<<10, 1, testbed.Event{})[0]
			req, body := read(t, append(forged.Head, forged.Tail...))
			if err := verify(t, sender, req, body); err == nil {
				t.Fatal("a forged event verifies")
			}
		})
	}
}

func TestAgedEventsAreOld(t *testing.T) {
	t.Parallel()
	sender := testbed.Stripe()
	made := traffic.Make(t, sender, 1<<10, 1, traffic.Aged(time.Hour))[0]
	req, body := read(t, append(made.Head, made.Tail...))
	rules := resolve(t, sender)
	_, err := rules.Scheme.Verify(facts(req, body), secrets(t, rules, sender), rules.Window, time.Now())
	if err == nil {
		t.Fatal("an event of an hour ago is fresh")
	}
}

func read(t *testing.T, raw []byte) (*http.Request, []byte) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return req, body
}

func resolve(t *testing.T, s testbed.Sender) *config.Resolved {
	t.Helper()
	provider, err := config.Builtin().Get(s.Name)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := provider.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func facts(req *http.Request, body []byte) *signature.Request {
	return &signature.Request{
		Method: req.Method, Scheme: "http", Host: req.Host, Path: req.URL.EscapedPath(), Query: req.URL.RawQuery,
		Header: req.Header, Body: body,
	}
}

func secrets(t *testing.T, rules *config.Resolved, s testbed.Sender) []signature.Secret {
	t.Helper()
	key, err := rules.Scheme.NewKey(s.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return []signature.Secret{{Key: key}}
}

// verify asks the catalogue's rules; where nothing is signed, for the stamp alone.
func verify(t *testing.T, s testbed.Sender, req *http.Request, body []byte) error {
	t.Helper()
	rules := resolve(t, s)
	if !rules.Scheme.Signed() {
		_, err := rules.Scheme.CheckStamps(facts(req, body), rules.Window, time.Now())
		return err
	}
	_, err := rules.Scheme.Verify(facts(req, body), secrets(t, rules, s), rules.Window, time.Now())
	return err
}
