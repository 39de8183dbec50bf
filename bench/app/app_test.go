package app_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/app"
)

// Every way in which Go's own client, and so Caddy, sends a body.
func TestAppCountsAndAnswers(t *testing.T) {
	t.Parallel()
	a, err := app.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.Serve() }()
	bodies := []io.Reader{
		strings.NewReader("{}"),
		bytes.NewReader(bytes.Repeat([]byte("x"), 4<<20)),
		io.MultiReader(strings.NewReader("in "), strings.NewReader("chunks")), // of unknown length
		http.NoBody,
	}
	for i, body := range bodies {
		resp, err := http.Post("http://"+a.Addr()+"/webhooks/x", "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || string(text) != "ok" {
			t.Fatalf("body %d: %d %q %v", i, resp.StatusCode, text, err)
		}
		resp.Body.Close()
	}
	if n, err := app.Posts(a.Addr()); err != nil || n != len(bodies) || a.Count() != n {
		t.Fatalf("counted %d and %d (%v), want %d", n, a.Count(), err, len(bodies))
	}
	const takes = 20 * time.Millisecond
	if err := app.Takes(a.Addr(), takes); err != nil {
		t.Fatal(err)
	}
	before, begun := work(t, a), time.Now()
	resp, err := http.Post("http://"+a.Addr(), "application/json", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	after := work(t, a)
	if after.Posts != before.Posts+1 || after.Busy < before.Busy+takes || after.Last.Before(begun.Round(0)) {
		t.Errorf("it has done %+v, and %+v before it was asked to work for %v", after, before, takes)
	}
	a.Close()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func work(t *testing.T, a *app.App) app.Work {
	t.Helper()
	w, err := app.Done(a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return w
}
