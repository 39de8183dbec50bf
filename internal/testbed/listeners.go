package testbed

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// listeners counts the sockets that listen on a port of this machine, over IPv4 or IPv6,
// whichever has more. It is 0 on systems without Linux's /proc.
func listeners(port int) int {
	return max(listenersIn("/proc/net/tcp", port), listenersIn("/proc/net/tcp6", port))
}

func listenersIn(name string, port int) (count int) {
	table, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer func() { _ = table.Close() }()
	lines := bufio.NewScanner(table)
	lines.Scan() // the heading
	// The columns are: number, local address, remote address, state. See proc(5).
	for lines.Scan() {
		columns := strings.Fields(lines.Text())
		if len(columns) < 4 || columns[3] != listening {
			return count // Linux lists those that listen first, and there may be many others
		}
		if strings.HasSuffix(columns[1], fmt.Sprintf(":%04X", port)) {
			count++
		}
	}
	return count
}

const listening = "0A"
