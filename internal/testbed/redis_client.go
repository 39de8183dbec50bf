package testbed

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redisClient asks the server that listens on a port of this machine.
type redisClient struct {
	port  int
	limit time.Duration // for one command; 0 is a minute, which a busy machine keeps
}

// Addr returns host:port, where the server listens.
func (c redisClient) Addr() string { return loopback(c.port) }

// Within is the same server for commands that take this long at most, such as to one that
// may be frozen.
func (c redisClient) Within(limit time.Duration) redisClient {
	c.limit = limit
	return c
}

// glance is for questions that are asked again and again, of servers that may be frozen.
func (c redisClient) glance() redisClient { return c.Within(time.Second) }

// Do sends one command on a connection of its own and returns the first line of the
// reply unparsed. It needs no client library.
func (c redisClient) Do(args ...string) (string, error) {
	line := ""
	err := c.send(args, func(reply *bufio.Reader) (err error) {
		line, err = replyLine(reply)
		return err
	})
	return line, err
}

// Ask is Do for replies of more than a line: it returns all strings and numbers of the
// reply in their order. Null becomes "".
func (c redisClient) Ask(args ...string) ([]string, error) {
	var all []string
	err := c.send(args, func(reply *bufio.Reader) (err error) {
		all, err = readReply(reply, nil)
		return err
	})
	return all, err
}

func (c redisClient) send(args []string, read func(*bufio.Reader) error) error {
	end := time.Now().Add(cmp.Or(c.limit, time.Minute))
	conn, err := (&net.Dialer{Deadline: end}).Dial("tcp", c.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end); err != nil {
		return err
	}
	var req strings.Builder
	fmt.Fprintf(&req, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&req, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(conn, req.String()); err != nil {
		return err
	}
	return read(bufio.NewReader(conn))
}

// replyLine reads one line. A refusal of the server is an error.
func replyLine(reply *bufio.Reader) (string, error) {
	line, err := reply.ReadString('\n')
	line = strings.TrimSpace(line)
	if refusal, ok := strings.CutPrefix(line, "-"); ok && err == nil {
		err = errors.New(refusal)
	}
	return line, err
}

// readReply appends what a reply in RESP2 holds, flat.
func readReply(reply *bufio.Reader, all []string) ([]string, error) {
	line, err := replyLine(reply)
	if err != nil {
		return nil, err
	}
	if line == "" {
		return nil, errors.New("empty line where a reply should begin")
	}
	kind, rest := line[0], line[1:]
	if kind != '$' && kind != '*' {
		return append(all, rest), nil
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err != nil:
		return nil, err
	case n < 0:
		return append(all, ""), nil
	case kind == '$':
		text := make([]byte, n+len("\r\n"))
		_, err := io.ReadFull(reply, text)
		return append(all, string(text[:n])), err
	}
	for range n {
		if all, err = readReply(reply, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// field returns the value of one line of INFO or CLUSTER INFO, "" where there is none
// or no answer.
func (c redisClient) field(name string, command ...string) string {
	texts, err := c.glance().Ask(command...)
	if err != nil || len(texts) == 0 {
		return ""
	}
	for line := range strings.Lines(texts[0]) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}

// inSync reports whether a replica follows its master.
func (c redisClient) inSync() bool {
	return c.field("master_link_status", "INFO", "replication") == "up"
}

// clusterMasters are the announced ports of the masters that serve slots and are not
// known to have failed, in the view of one node.
func (c redisClient) clusterMasters() map[int]bool {
	ports := make(map[int]bool)
	for _, fields := range c.clusterNodes() {
		addr, _, _ := strings.Cut(fields[1], "@")
		if port, err := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:]); err == nil {
			ports[port] = true
		}
	}
	return ports
}

// configEpoch is the greatest epoch in which one of the clusterMasters became one, -1 without an
// answer.
func (c redisClient) configEpoch() int {
	newest := -1
	for _, fields := range c.clusterNodes() {
		if epoch, err := strconv.Atoi(fields[6]); err == nil {
			newest = max(newest, epoch)
		}
	}
	return newest
}

// clusterNodes are the lines of the clusterMasters:
//
//	<id> <ip:port@bus[,host]> <flags> <master> <ping> <pong> <epoch> <link> <slot>…
func (c redisClient) clusterNodes() (masters [][]string) {
	texts, err := c.glance().Ask("CLUSTER", "NODES")
	if err != nil || len(texts) == 0 {
		return nil
	}
	for line := range strings.Lines(texts[0]) {
		fields := strings.Fields(line)
		if len(fields) >= 9 && strings.Contains(fields[2], "master") && !slices.Contains(strings.Split(fields[2], ","), "fail") {
			masters = append(masters, fields)
		}
	}
	return masters
}

// sentinelMaster is what a sentinel knows of its master. Empty without an answer.
func (c redisClient) sentinelMaster() map[string]string {
	state := make(map[string]string)
	pairs, err := c.glance().Ask("SENTINEL", "MASTER", MasterName)
	for i := 0; err == nil && i+1 < len(pairs); i += 2 {
		state[pairs[i]] = pairs[i+1]
	}
	return state
}
