package report

import (
	"fmt"
	"strings"
)

// The tables of growth.
const (
	CPUs       = "cpus"
	Redis      = "redis"
	Remembered = "remembered"
)

// RedisUse is what one event costs Redis.
type RedisUse struct {
	Variant, Sender string
	// Commands counts all, Sent those that travel: a script is one of them.
	Commands, Sent    float64
	BytesIn, BytesOut float64
	CPU               float64 // µs
	Memory            float64 // bytes that remembering it takes
}

// Filled is a store that remembers many events already.
type Filled struct {
	Variant    string
	Events     int
	Throughput float64 // requests per second
	CPU        float64 // µs per request
	Resident   int64   // bytes of the gateway
	// Bytes per event, in the gateway, in Redis and in files.
	Heap, Redis, Disk float64
}

// The load for which the size of a Redis is computed.
const (
	computedRate  = 10_000 // events per second
	computedHours = 72
)

func (r *Results) redisTable() string {
	rows := [][]string{{
		"", "events of", "Redis CPU µs", "commands sent", "with those of scripts", "bytes in", "bytes out", "events/s at most, computed",
		"bytes remembered", fmt.Sprintf("GB at %d/s over %d h, computed", computedRate, computedHours),
	}}
	for _, u := range r.RedisUse {
		most := ""
		if u.CPU > 0 {
			most = fmt.Sprintf("%.0f", 1e6/u.CPU) // it has one thread
		}
		rows = append(rows, []string{
			title(r.Variants, u.Variant), u.Sender, fmt.Sprintf("%.0f", u.CPU), fmt.Sprintf("%.1f", u.Sent), fmt.Sprintf("%.1f", u.Commands), fmt.Sprintf("%.0f", u.BytesIn), fmt.Sprintf("%.0f", u.BytesOut),
			most, fmt.Sprintf("%.0f", u.Memory), fmt.Sprintf("%.0f", u.Memory*computedRate*computedHours*3600/1e9),
		})
	}
	return table(rows)
}

func (r *Results) filledTable() string {
	rows := [][]string{{"", "events remembered", "CPU µs/request", "requests/s", "resident MB", "bytes/event in the gateway", "in Redis", "in files"}}
	for _, f := range r.Filled {
		where := func(used string, bytes float64) string {
			if !strings.Contains(f.Variant, used) {
				return ""
			}
			return fmt.Sprintf("%.0f", bytes)
		}
		rows = append(rows, []string{
			title(r.Variants, f.Variant), fmt.Sprint(f.Events), fmt.Sprintf("%.0f", f.CPU), fmt.Sprintf("%.0f", f.Throughput), fmt.Sprintf("%d", f.Resident>>20),
			where("", f.Heap), where("redis", f.Redis), where("disk", f.Disk),
		})
	}
	return table(rows)
}

func title(variants []Variant, variant string) string {
	for _, v := range variants {
		if v.Name == variant {
			return v.Title
		}
	}
	return variant
}
