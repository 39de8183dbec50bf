// Package simulate is a discrete-event simulation of many gateways in front of many Redis
// shards: who waits where, what saturates first, and what a lost node does. It computes with
// the costs that `make bench` measured, and with no clock but its own.
package simulate

import "container/heap"

// clock runs what is due, in the order of its time. Times are seconds since the start.
type clock struct {
	now  float64
	due  agenda
	last int
}

type entry struct {
	at    float64
	order int // of entries of one time: as they came
	do    func()
}

// after has something done when some time has passed.
func (c *clock) after(seconds float64, do func()) {
	c.last++
	heap.Push(&c.due, entry{c.now + seconds, c.last, do})
}

// run goes on until a time, or until nothing is due any more.
func (c *clock) run(until float64) {
	for len(c.due) > 0 && c.due[0].at <= until {
		e := heap.Pop(&c.due).(entry)
		c.now = e.at
		e.do()
	}
	c.now = until
}

// agenda implements heap.Interface.
type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(e any)   { *a = append(*a, e.(entry)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	old[len(old)-1] = entry{}
	*a = old[:len(old)-1]
	return e
}
