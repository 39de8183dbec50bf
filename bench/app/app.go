// Package app is the small app behind every measured proxy.
//
// It speaks as much HTTP/1.1 as the gateways speak to it, in place of net/http, because
// it shares the machine with them: its cost is part of every figure, and makes
// differences look smaller than they are.
package app

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// App answers every POST with 200 and "ok", and GET with its [Work] so far. After
// GET /busy/<duration> it works for so long on each POST.
type App struct {
	listener net.Listener
	posts    atomic.Int64
	busy     atomic.Int64 // ns
	last     atomic.Int64 // ns
	takes    atomic.Int64 // ns
}

// Listen opens the app on host:port.
func Listen(addr string) (*App, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return &App{listener: listener}, nil
}

// Addr is the app's host:port.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Count is the number of POSTs so far.
func (a *App) Count() int { return int(a.posts.Load()) }

// Close stops listening; Serve returns.
func (a *App) Close() { _ = a.listener.Close() }

// Serve takes connections until Close.
func (a *App) Serve() error {
	for {
		conn, err := a.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("app: %w", err)
		}
		go func() {
			defer conn.Close()
			_ = a.serve(conn) // whatever is wrong, the caller sees its connection end
		}()
	}
}

var okAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")

func (a *App) serve(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		asked, length, err := readHead(in)
		if err != nil {
			return err
		}
		if err := skipBody(in, length); err != nil {
			return err
		}
		answer := okAnswer
		if asked == "" {
			a.work()
		} else {
			done := a.asked(asked)
			answer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(done), done)
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// work is what a POST makes it do.
func (a *App) work() {
	begun := time.Now()
	a.last.Store(begun.UnixNano())
	if takes := a.takes.Load(); takes > 0 {
		time.Sleep(time.Duration(takes))
	}
	a.busy.Add(int64(time.Since(begun)))
	a.posts.Add(1)
}

// asked answers a GET.
func (a *App) asked(path string) string {
	if text, ok := strings.CutPrefix(path, "/busy/"); ok {
		takes, err := time.ParseDuration(text)
		if err != nil {
			return err.Error()
		}
		a.takes.Store(int64(takes))
	}
	return fmt.Sprint(a.posts.Load(), a.busy.Load(), a.last.Load())
}

const chunked = -1

// readHead reads up to the empty line. asked is the path of a GET, "" for a POST. length is
// that of the body, or chunked.
func readHead(in *bufio.Reader) (asked string, length int64, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", 0, err
	}
	if rest, ok := bytes.CutPrefix(line, []byte("GET ")); ok {
		path, _, _ := bytes.Cut(rest, []byte(" "))
		asked = string(path)
	}
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return "", 0, err
		}
		name, value, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		switch {
		case len(name) == 0:
			return asked, length, nil
		case !found:
			return "", 0, errors.New("no header line")
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return "", 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			length = chunked
		}
	}
}

func skipBody(in *bufio.Reader, length int64) error {
	if length != chunked {
		_, err := in.Discard(int(length))
		return err
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return err
		}
		if _, err := in.Discard(int(size) + len("\r\n")); err != nil || size == 0 {
			return err
		}
	}
}

// Work is what an app has done since it was started.
type Work struct {
	Posts int           // answered
	Busy  time.Duration // spent on them, each counted by itself
	Last  time.Time     // when the last one came
}

// Posts asks an app in another process for its count.
func Posts(addr string) (int, error) {
	w, err := ask(addr, "/")
	return w.Posts, err
}

// Done asks an app in another process for what it has done.
func Done(addr string) (Work, error) { return ask(addr, "/") }

// Takes has an app in another process work for so long on each POST from now on.
func Takes(addr string, d time.Duration) error {
	_, err := ask(addr, "/busy/"+d.String())
	return err
}

func ask(addr, path string) (w Work, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return w, fmt.Errorf("app: %w", err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: app\r\n\r\n", path); err != nil {
		return w, fmt.Errorf("app: %w", err)
	}
	in := bufio.NewReader(conn)
	_, length, err := readHead(in)
	if err != nil {
		return w, fmt.Errorf("app: %w", err)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(in, text); err != nil {
		return w, fmt.Errorf("app: %w", err)
	}
	var busy, last int64
	if _, err := fmt.Sscan(string(text), &w.Posts, &busy, &last); err != nil {
		return w, fmt.Errorf("app: it answered %q: %w", text, err)
	}
	w.Busy, w.Last = time.Duration(busy), time.Unix(0, last)
	return w, nil
}
