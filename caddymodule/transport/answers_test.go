package transport

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
)

// answer is what an app does with an event.
type answer struct {
	name    string
	text    string // what it says first, where the steps begin with that
	steps   []action
	closes  bool   // the app, with its last step
	stalls  bool   // the app, so that the proxy gives up
	early   action // on the first connection, before the app reads
	method  string // POST where it is empty
	size    int    // of the event, where it matters
	header  http.Header
	status  int // what must come of it; 0 where only the two transports are compared
	differs func(theirs, ours outcome) (wrong string)

	transport settings
}

// A raw is an answer that leaves the connection open.
func raw(name string, status int, text string) answer {
	return answer{name: name, status: status, text: text, steps: []action{says(text)}}
}

// An ending is an answer after which the app closes the connection.
func ending(name string, status int, text string) answer {
	return answer{name: name, status: status, text: text, closes: true, steps: []action{says(text), closes}}
}

// A stalling is an answer after which the app neither says anything nor closes the connection.
func stalling(name string, status int, text string) answer {
	return answer{name: name, status: status, text: text, stalls: true, steps: []action{says(text), stalls}}
}

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	length5 = ok + "Content-Length: 5\r\n\r\n"
)

func answers() []answer {
	return slicesConcat(wholeAnswers(), framings(), malformedHeads(), badChunks(), brokenAnswers(), informationalAnswers(), otherRequests(), earlyAnswers())
}

func slicesConcat(all ...[]answer) []answer {
	var one []answer
	for _, some := range all {
		one = append(one, some...)
	}
	return one
}

func wholeAnswers() []answer {
	return []answer{
		raw("length", 200, length5+"hello"),
		raw("no body", 200, ok+"Content-Length: 0\r\n\r\n"),
		raw("chunked", 200, chunked+"5\r\nhello\r\n0\r\n\r\n"),
		raw("chunked, empty", 200, chunked+"0\r\n\r\n"),
		raw("chunks in parts", 200, chunked+"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
		raw("a chunk's extension", 200, chunked+"5;a=b\r\nhello\r\n0\r\n\r\n"),
		raw("chunked in capitals", 200, ok+"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("a trailer", 200, ok+"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
		raw("a trailer that was not announced", 200, chunked+"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
		raw("a forbidden trailer", 502, ok+"Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n"),
		ending("ended by close", 200, ok+"\r\nhello"),
		ending("ended by close, empty", 200, ok+"\r\n"),
		ending("said to close", 200, ok+"Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
		raw("said to close, and left open", 200, ok+"Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
		ending("closed after a length", 200, length5+"hello"),
		ending("closed after chunks", 200, chunked+"5\r\nhello\r\n0\r\n\r\n"),
		{name: "half closed after a length", status: 200, closes: true, steps: []action{says(length5 + "hello"), halfCloses}},
		{name: "half closed", status: 200, closes: true, steps: []action{says(ok + "\r\nhello"), halfCloses}},
		{name: "dripped", status: 200, steps: []action{drips(chunked + "5\r\nhello\r\n0\r\n\r\n")}},
		{name: "dripped, with a length", status: 200, steps: []action{drips(length5 + "hello")}},
		raw("HTTP/1.0", 200, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		ending("HTTP/1.0, ended by close", 200, "HTTP/1.0 200 OK\r\n\r\nhello"),
		raw("HTTP/1.0, kept alive", 200, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
		raw("no reason", 200, "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
		raw("an empty reason", 200, "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
		raw("a long reason", 200, "HTTP/1.1 200 "+strings.Repeat("very ", 200)+"OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("201", 201, "HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"),
		raw("204", 204, "HTTP/1.1 204 No Content\r\n\r\n"),
		raw("204 with a length", 204, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
		raw("304", 304, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
		raw("304 with a length", 304, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
		raw("302", 302, "HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n"),
		raw("401", 401, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno"),
		raw("503", 503, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno"),
		raw("599", 599, "HTTP/1.1 599 What\r\nContent-Length: 0\r\n\r\n"),
		raw("999", 999, "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"),
		raw("a header twice", 200, ok+"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"),
		raw("an empty header", 200, ok+"X-Empty:\r\nContent-Length: 0\r\n\r\n"),
		raw("spaces around a value", 200, ok+"X-One:  \t v \t \r\nContent-Length: 0\r\n\r\n"),
		raw("a header in small letters", 200, ok+"x-one: v\r\ncontent-length: 5\r\n\r\nhello"),
		raw("a large header", 200, ok+"X-Large: "+strings.Repeat("x", 40<<10)+"\r\nContent-Length: 0\r\n\r\n"),
		raw("a large answer", 200, ok+"Content-Length: 1000000\r\n\r\n"+strings.Repeat("x", 1000000)),
		raw("gzip that was asked for", 200, compressed("hello")),
		raw("gzip in capitals", 200, strings.Replace(compressed("hello"), "gzip", "GZIP", 1)),
		raw("gzip that is none", 200, ok+"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"),
		raw("gzip, empty", 200, ok+"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
		raw("another encoding", 200, ok+"Content-Encoding: br\r\nContent-Length: 5\r\n\r\nhello"),
		{name: "gzip that the sender asked for", status: 200, header: http.Header{"Accept-Encoding": {"gzip"}}, steps: []action{says(compressed("hello"))}},
		{name: "gzip of a range", header: http.Header{"Range": {"bytes=0-1"}}, steps: []action{says(compressed("hello"))}},
		{name: "no compression", transport: settings{"compression": false}, steps: []action{says(compressed("hello"))}},
	}
}

func compressed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return ok + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b.String()) + "0\r\n\r\n"
}

func chunk(text string) string {
	const digits = "0123456789abcdef"
	return string(digits[len(text)>>4]) + string(digits[len(text)&15]) + "\r\n" + text + "\r\n"
}

// framings are the ways to say two things about the length.
func framings() []answer {
	return []answer{
		raw("two lengths", 502, ok+"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
		raw("the same length twice", 200, ok+"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a list of lengths", 502, ok+"Content-Length: 5, 5\r\n\r\nhello"),
		raw("a list of two lengths", 502, ok+"Content-Length: 5, 6\r\n\r\nhello!"),
		raw("a length and chunks", 0, ok+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("chunks and a length", 0, ok+"Transfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("chunked twice", 0, ok+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("chunked, chunked", 0, ok+"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("gzip, chunked", 0, ok+"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("chunked, identity", 0, ok+"Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("identity", 0, ok+"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"),
		raw("an unknown coding", 0, ok+"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello"),
		raw("an empty coding", 0, ok+"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a space before the colon", 0, ok+"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a tab in the coding", 0, ok+"Transfer-Encoding:\tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		stalling("HTTP/1.0 and chunks", 0, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("a negative length", 502, ok+"Content-Length: -1\r\n\r\nhello"),
		raw("a length with a sign", 502, ok+"Content-Length: +5\r\n\r\nhello"),
		raw("a hexadecimal length", 502, ok+"Content-Length: 0x5\r\n\r\nhello"),
		raw("a length of words", 502, ok+"Content-Length: five\r\n\r\nhello"),
		raw("an empty length", 0, ok+"Content-Length:\r\n\r\n"),
		raw("a length of 2^63", 502, ok+"Content-Length: 9223372036854775808\r\n\r\nhello"),
		ending("a length of 2^63-1", 0, ok+"Content-Length: 9223372036854775807\r\n\r\nhello"),
		raw("a length of twenty zeros", 0, ok+"Content-Length: 00000000000000000005\r\n\r\nhello"),
		raw("204 with a body", 204, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
		raw("204 with chunks", 204, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		raw("304 with a body", 304, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
		raw("more than the length", 200, length5+"hello and more"),
		raw("a second answer", 200, length5+"hello"+ok+"Content-Length: 6\r\nX-Smuggled: yes\r\n\r\nforged"),
		raw("a second answer after chunks", 200, chunked+"5\r\nhello\r\n0\r\n\r\n"+ok+"Content-Length: 6\r\nX-Smuggled: yes\r\n\r\nforged"),
		raw("a second answer after 204", 204, "HTTP/1.1 204 No Content\r\n\r\n"+ok+"Content-Length: 6\r\nX-Smuggled: yes\r\n\r\nforged"),
		raw("a second answer after no body", 200, ok+"Content-Length: 0\r\n\r\n"+ok+"Content-Length: 6\r\nX-Smuggled: yes\r\n\r\nforged"),
		stalling("an answer within an answer", 200, ok+"Content-Length: 62\r\n\r\n"+ok+"Content-Length: 6\r\nX-Smuggled: yes\r\n\r\nforged"),
	}
}

func malformedHeads() []answer {
	var floods strings.Builder
	for range 3000 {
		floods.WriteString("X-Flood: some value that is not short at all\r\n")
	}
	return []answer{
		raw("bare line feeds", 0, "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
		raw("one bare line feed", 0, "HTTP/1.1 200 OK\r\nX-One: v\nContent-Length: 5\r\n\r\nhello"),
		raw("a bare carriage return", 0, "HTTP/1.1 200 OK\r\nX-One: a\rb\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a NUL", 0, ok+"X-One: a\x00b\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a folded header", 0, ok+"X-One: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a folded length", 0, ok+"Content-Length:\r\n 5\r\n\r\nhello"),
		raw("folded at once", 0, ok+" X-One: a\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a line without a colon", 0, ok+"nonsense\r\nContent-Length: 5\r\n\r\nhello"),
		raw("no name", 0, ok+": v\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a space in a name", 0, ok+"X One: v\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a name of other letters", 0, ok+"X-Ünö: v\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a value of other letters", 0, ok+"X-One: ünö\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a value that is no text", 0, ok+"X-One: \xff\xfe\r\nContent-Length: 5\r\n\r\nhello"),
		ending("empty lines first", 0, "\r\n\r\n"+length5+"hello"),
		ending("a space first", 0, " "+length5+"hello"),
		ending("no version", 502, "200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		ending("version 0.9", 502, "hello"),
		raw("version 1.2", 0, "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("version 2.0", 0, "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("version 3", 0, "HTTP/3 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a version in small letters", 502, "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("another protocol", 502, "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		ending("HTTP/2", 502, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		ending("settings of HTTP/2", 502, "\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		ending("TLS", 502, "\x15\x03\x03\x00\x02\x02\x28"),
		ending("a request", 502, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
		raw("a status of two digits", 502, "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a status of four digits", 502, "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a negative status", 502, "HTTP/1.1 -20 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a status of words", 502, "HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("two spaces before the status", 0, "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a tab before the status", 0, "HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		raw("many headers", 502, ok+floods.String()+"Content-Length: 5\r\n\r\nhello"),
		raw("a header over the limit", 502, ok+"X-Large: "+strings.Repeat("x", 100<<10)+"\r\nContent-Length: 5\r\n\r\nhello"),
		raw("a status line over the limit", 502, "HTTP/1.1 200 "+strings.Repeat("x", 100<<10)+"\r\n\r\n"),
		ending("a line that never ends", 502, ok+"X-Large: "+strings.Repeat("x", 100<<10)),
		raw("hop-by-hop headers", 200, ok+"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nContent-Length: 5\r\n\r\nhello"),
	}
}
