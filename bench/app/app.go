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
	"sync/atomic"
)

// App answers every POST with 200 and "ok", and GET with the number of POSTs so far.
type App struct {
	listener net.Listener
	posts    atomic.Int64
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
		post, length, err := readHead(in)
		if err != nil {
			return err
		}
		if err := skipBody(in, length); err != nil {
			return err
		}
		answer := okAnswer
		if post {
			a.posts.Add(1)
		} else {
			count := strconv.FormatInt(a.posts.Load(), 10)
			answer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(count), count)
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

const chunked = -1

// readHead reads up to the empty line. length is that of the body, or chunked.
func readHead(in *bufio.Reader) (post bool, length int64, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return false, 0, err
	}
	post = bytes.HasPrefix(line, []byte("POST "))
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return false, 0, err
		}
		name, value, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		switch {
		case len(name) == 0:
			return post, length, nil
		case !found:
			return false, 0, errors.New("no header line")
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return false, 0, err
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

// Posts asks an app in another process for its count.
func Posts(addr string) (int, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, fmt.Errorf("app: %w", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\n\r\n"); err != nil {
		return 0, fmt.Errorf("app: %w", err)
	}
	in := bufio.NewReader(conn)
	_, length, err := readHead(in)
	if err != nil {
		return 0, fmt.Errorf("app: %w", err)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(in, text); err != nil {
		return 0, fmt.Errorf("app: %w", err)
	}
	return strconv.Atoi(string(text))
}
