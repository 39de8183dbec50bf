package transport

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

func badChunks() []answer {
	return []answer{
		ending("a chunk of words", 200, chunked+"five\r\nhello\r\n0\r\n\r\n"),
		ending("a negative chunk", 200, chunked+"-5\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk with a sign", 200, chunked+"+5\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk of 0x", 200, chunked+"0x5\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk of 2^64", 200, chunked+"10000000000000000\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk of 2^63", 200, chunked+"8000000000000000\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk of 2^64-1", 200, chunked+"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
		ending("an empty chunk size", 200, chunked+"\r\nhello\r\n0\r\n\r\n"),
		ending("a space after the size", 200, chunked+"5 \r\nhello\r\n0\r\n\r\n"),
		ending("a space before the size", 200, chunked+" 5\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk that is longer", 200, chunked+"4\r\nhello\r\n0\r\n\r\n"),
		ending("a chunk that is shorter", 200, chunked+"6\r\nhello\r\n0\r\n\r\n"),
		ending("chunks ended by line feeds", 200, chunked+"5\nhello\n0\n\n"),
		ending("a size ended by a carriage return", 200, chunked+"5\rhello\r\n0\r\n\r\n"),
		ending("no last chunk", 200, chunked+"5\r\nhello\r\n"),
		ending("no empty line after the last chunk", 200, chunked+"5\r\nhello\r\n0\r\n"),
		ending("a long extension", 200, chunked+"5;"+strings.Repeat("x", 20<<10)+"\r\nhello\r\n0\r\n\r\n"),
		ending("an extension with a line feed", 200, chunked+"5;a\nb\r\nhello\r\n0\r\n\r\n"),
		ending("many small chunks", 200, chunked+strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\ny\r\n", 100)+"0\r\n\r\n"),
		ending("a malformed trailer", 200, chunked+"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
		ending("a trailer without an end", 200, chunked+"5\r\nhello\r\n0\r\nX-Sum: 1\r\n"),
		ending("a large trailer", 200, chunked+"5\r\nhello\r\n0\r\nX-Sum: "+strings.Repeat("x", 20<<10)+"\r\n\r\n"),
	}
}

func brokenAnswers() []answer {
	all := []answer{
		{name: "closed without an answer", status: 502, closes: true, steps: []action{closes}},
		{name: "reset without an answer", status: 502, closes: true, steps: []action{resets}},
		{name: "half closed without an answer", status: 502, closes: true, steps: []action{halfCloses}},
		{name: "no answer at all", status: 504, stalls: true, steps: []action{stalls}},
		stalling("a status line that stalls", 504, "HTTP/1.1 20"),
		stalling("headers that stall", 504, ok+"Content-Le"),
		stalling("a body that stalls", 200, length5+"he"),
		stalling("a chunk that stalls", 200, chunked+"5\r\nhe"),
		stalling("a last chunk that stalls", 200, chunked+"5\r\nhello\r\n0\r\n"),
		stalling("a body without a length that stalls", 200, ok+"\r\nhello"),
		stalling("no body, and it stalls", 200, ok+"Content-Length: 0\r\n\r\n"),
		{name: "a body that is reset", status: 200, closes: true, steps: []action{says(length5 + "he"), pauses, resets}},
		{name: "headers that are reset", status: 502, closes: true, steps: []action{says(ok), pauses, resets}},
		{name: "a body without a length that is reset", status: 200, closes: true, steps: []action{says(ok + "\r\nhello"), pauses, resets}},
		{name: "a body that is half closed", status: 200, closes: true, steps: []action{says(length5 + "he"), halfCloses}},
	}
	whole := ok + "X-One: v\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, at := range []int{1, 5, 9, 12, 16, 17, 18, 27, 28, 56, 57, 58, 59, 61, 64, 66, 67, 68, 70} {
		all = append(all, ending("closed after "+whole[:min(at, len(whole))], 0, whole[:min(at, len(whole))]))
	}
	return all
}

// pauses lets what was said arrive by itself.
func pauses(net.Conn) bool {
	time.Sleep(20 * time.Millisecond)
	return true
}

func informationalAnswers() []answer {
	const next = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	return []answer{
		raw("100", 200, "HTTP/1.1 100 Continue\r\n\r\n"+next),
		raw("102", 200, "HTTP/1.1 102 Processing\r\n\r\n"+next),
		raw("103", 200, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+next),
		raw("100 and 103", 200, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+next),
		raw("199", 200, "HTTP/1.1 199 What\r\n\r\n"+next),
		raw("103 with a length", 0, "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"+next),
		{name: "103 and a pause", status: 200, steps: []action{says("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), pauses, says(next)}},
		ending("103 and no more", 502, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
		stalling("103 that stalls", 504, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
		raw("four times 103", 200, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 4)+next),
		raw("many times 100, over the limit in all", 0, strings.Repeat("HTTP/1.1 100 Continue\r\nX-Large: "+strings.Repeat("x", 10<<10)+"\r\n\r\n", 10)+next),
		raw("103 over the limit", 502, "HTTP/1.1 103 Early Hints\r\nX-Large: "+strings.Repeat("x", 100<<10)+"\r\n\r\n"+next),
		{name: "before the event is read", differs: oursHolds(200), early: says("HTTP/1.1 103 Early Hints\r\n\r\n"), steps: []action{says(next)}},
	}
}

func otherRequests() []answer {
	all := []answer{
		{name: "HEAD", method: http.MethodHead, status: 200, steps: []action{says(length5)}},
		{name: "HEAD without a length", method: http.MethodHead, status: 200, steps: []action{says(ok + "\r\n")}},
		{name: "HEAD, chunked", method: http.MethodHead, status: 200, steps: []action{says(chunked)}},
		{name: "HEAD with a body", method: http.MethodHead, status: 200, steps: []action{says(length5 + "hello")}},
		{name: "HEAD, 204", method: http.MethodHead, status: 204, steps: []action{says("HTTP/1.1 204 No Content\r\n\r\n")}},
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "REPORT"} {
		all = append(all, answer{name: method, method: method, status: 200, steps: []action{says(length5 + "hello")}})
	}
	for _, size := range []int{16 << 10, 32 << 10, 33 << 10, 256 << 10, 4 << 20} {
		all = append(all, answer{name: "an event of many bytes", size: size, status: 200, steps: []action{says(length5 + "hello")}})
	}
	return all
}

// oursHolds is for answers that net/http loses where its write fails first, or where it has
// not yet asked. Ours always takes them.
func oursHolds(status int) func(outcome, outcome) string {
	return func(_, ours outcome) string {
		if ours.status != status || ours.broken {
			return fmt.Sprintf("through transport webhook:\n%s", ours)
		}
		return ""
	}
}

// earlyAnswers come before the app has read the event. It closes the connection once the
// sender has the answer.
func earlyAnswers() []answer {
	answers := func(text string) action {
		return func(conn net.Conn) bool {
			_, _ = io.CopyN(io.Discard, conn, 20)
			says(text)(conn)
			return false
		}
	}
	const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
	return []answer{
		{name: "413 to an event of 8 MB that is never read", size: 8 << 20, differs: oursHolds(413), early: answers(early)},
		{name: "413 to an event of 8 MB, said to close", size: 8 << 20, differs: oursHolds(413), early: answers("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")},
		{name: "200 in chunks while the event is read", size: 1 << 20, differs: oursHolds(200), early: func(conn net.Conn) bool {
			answers(chunked + "5\r\nhello\r\n")(conn)
			_, _ = io.CopyN(io.Discard, conn, 1<<20)
			says("0\r\n\r\n")(conn)
			return false
		}},
	}
}
