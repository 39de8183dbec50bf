// Package stores compares embedded databases at the job of the disk store: to commit an
// event with two keys durably, and to look both up. It is a module of its own, so that
// what was not chosen is no dependency of the gateway. ADR 4 has the figures.
//
//	go test -bench . -benchtime 2s
package stores
