//go:build linux

package load

import (
	"strings"
	"testing"
)

func TestResponse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		status     int
		guard      string
		close      bool
		refused    string
	}{
		{name: "a length", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nWebhook-Guard: forwarded\r\n\r\nabc", status: 200, guard: "forwarded"},
		{name: "names in lower case", text: "HTTP/1.1 401 No\r\ncontent-length: 0\r\nwebhook-guard:signature_invalid\r\n\r\n", status: 401, guard: "signature_invalid"},
		{name: "chunks", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", status: 200},
		{name: "chunks and a trailer", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\r\r\n0\r\nX: y\r\n\r\n", status: 200},
		{name: "no body at all", text: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "the server closes", text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", status: 200, close: true},
		{name: "an old server closes", text: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, close: true},
		{name: "no status line", text: "SSH-2.0-OpenSSH_9.2\r\n\r\n", refused: "status line"},
		{name: "no length", text: "HTTP/1.1 200 OK\r\n\r\n", refused: "without a length"},
		{name: "a length that is none", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", refused: "no length"},
		{name: "a chunk without size", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", refused: "size of a chunk"},
		{name: "more than the answer", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP", refused: "after the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// However the network cuts it, the answer is the same.
			for _, piece := range []int{1, 2, 7, len(tt.text)} {
				var r response
				r.reset()
				done, err := feedAll(&r, tt.text, piece)
				if tt.refused != "" {
					if err == nil || !strings.Contains(err.Error(), tt.refused) {
						t.Fatalf("pieces of %d: %v, want an error about %q", piece, err, tt.refused)
					}
					continue
				}
				if err != nil || !done || r.status != tt.status || string(r.guard) != tt.guard || r.close != tt.close {
					t.Fatalf("pieces of %d: done %v, error %v, status %d, guard %q, close %v", piece, done, err, r.status, r.guard, r.close)
				}
			}
		})
	}
}

// feedAll feeds text in pieces.
func feedAll(r *response, text string, piece int) (done bool, err error) {
	for ; len(text) > 0 && err == nil; text = text[min(piece, len(text)):] {
		if done {
			return false, errTrailing
		}
		done, err = r.feed([]byte(text[:min(piece, len(text))]))
	}
	return done, err
}
