package testbed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func post(t *testing.T, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestAppRecords(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	req := post(t, app.URL()+"/a%20b?x=1", "hello")
	req.Header.Set("X-Test", "yes")
	if resp := Do(t, req); resp.Status != http.StatusOK || len(resp.Body) != 0 {
		t.Fatalf("answer %v, want an empty 200", resp)
	}
	d := app.Deliveries()[0]
	switch {
	case d.N != 1, d.Method != http.MethodPost, d.URL != "/a%20b?x=1", d.Host != app.Addr(),
		string(d.Body) != "hello", d.BodyErr != nil, d.ContentLength != 5, d.Header.Get("X-Test") != "yes":
		t.Fatalf("recorded %+v", d)
	}
}

func TestAppRecordsChunksAndTrailers(t *testing.T) {
	t.Parallel()
	app := StartApp(t, nil)
	// An unknown kind of reader has no length, so it travels in chunks.
	req := post(t, app.URL(), "")
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("he"), strings.NewReader("llo")))
	req.ContentLength = -1
	req.Trailer = http.Header{"X-End": {"now"}}
	Do(t, req)
	d := app.Deliveries()[0]
	if string(d.Body) != "hello" || d.ContentLength != -1 || d.Trailer.Get("X-End") != "now" ||
		strings.Join(d.TransferEncoding, ",") != "chunked" {
		t.Fatalf("recorded %+v", d)
	}
}

func TestAppAnswers(t *testing.T) {
	t.Parallel()
	app := StartApp(t, func(d Delivery) Answer {
		switch d.URL {
		case "/cut":
			return Answer{Status: http.StatusCreated, Body: []byte("0123456789"), Cut: true}
		case "/drop":
			return Answer{Drop: true}
		default:
			return Answer{Status: http.StatusAccepted, Header: http.Header{"Webhook-Guard": {"x"}}, Body: []byte("ok")}
		}
	})
	if resp := Do(t, post(t, app.URL()+"/", "")); resp.Status != http.StatusAccepted || string(resp.Body) != "ok" || resp.Guard != "x" {
		t.Errorf("whole: %v", resp)
	}
	resp, err := Try(post(t, app.URL()+"/cut", ""))
	if !errors.Is(err, io.ErrUnexpectedEOF) || resp.Status != http.StatusCreated || string(resp.Body) != "01234" {
		t.Errorf("cut: %v, %v", resp, err)
	}
	if resp, err := Try(post(t, app.URL()+"/drop", "")); err == nil {
		t.Errorf("drop: %v", resp)
	}
	if got := app.Count(); got != 3 {
		t.Errorf("%d deliveries, want 3", got)
	}
}

func TestAppWaitsAndSeesTheHangUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	app := StartApp(t, func(Delivery) Answer { return Answer{Wait: release} })
	ctx, hangUp := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := Try(post(t, app.URL(), "").WithContext(ctx))
		failed <- err
	}()
	app.WaitCount(1)
	select {
	case err := <-failed:
		t.Fatalf("answered too early: %v", err)
	default:
	}
	hangUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatalf("the sender got %v", err)
	}
	<-app.Deliveries()[0].Gone
	close(release)
}

func TestAppStopsInTheMiddleAndStartsAgain(t *testing.T) {
	t.Parallel()
	app := StartApp(t, func(d Delivery) Answer {
		if d.N == 1 {
			return Answer{Wait: make(chan struct{})} // for ever
		}
		return Answer{}
	})
	failed := make(chan error, 1)
	go func() {
		_, err := Try(post(t, app.URL(), ""))
		failed <- err
	}()
	app.WaitCount(1)
	app.Stop()
	if err := <-failed; err == nil {
		t.Fatal("a stopped app answered")
	}
	if _, err := Try(post(t, app.URL(), "")); err == nil {
		t.Fatal("a stopped app listens")
	}
	app.Start()
	if resp := Do(t, post(t, app.URL(), "")); resp.Status != http.StatusOK {
		t.Fatalf("after the restart: %v", resp)
	}
	if app.Count() != 2 {
		t.Fatalf("%d deliveries, want 2", app.Count())
	}
}

func TestFreePortNeverRepeats(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 200 {
		port := FreePort(t)
		if seen[port] || port < firstPort || port >= lastPort {
			t.Fatalf("port %d", port)
		}
		seen[port] = true
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	start := time.Now()
	<-After(20 * time.Millisecond)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Fatalf("closed after %v", took)
	}
}
