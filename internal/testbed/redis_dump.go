package testbed

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// redisKey is a key of a server, as plain values: the servers' own dumps differ from one
// version to the next.
type redisKey struct {
	Name string
	Type string
	TTL  int64 `json:",omitempty"` // ms; 0: for ever
	// Values are the value of a string, names and values of a hash, members and scores of a
	// sorted set, or the members of a set.
	Values [][]byte
}

// readers are the commands that list a key's values, by its type.
var readers = map[string]func(key string) []string{
	"string": func(key string) []string { return []string{"GET", key} },
	"hash":   func(key string) []string { return []string{"HGETALL", key} },
	"zset":   func(key string) []string { return []string{"ZRANGE", key, "0", "-1", "WITHSCORES"} },
	"set":    func(key string) []string { return []string{"SMEMBERS", key} },
}

// Dump writes all keys of the server to a file.
func (r *Redis) Dump(file string) {
	r.tb.Helper()
	names := r.ask("KEYS", "*")
	slices.Sort(names)
	var all []redisKey
	for _, name := range names {
		key := redisKey{Name: name, Type: r.ask("TYPE", name)[0]}
		reader, ok := readers[key.Type]
		if !ok {
			r.tb.Fatalf("%s is a %s, which Dump does not know", name, key.Type)
		}
		for _, value := range r.ask(reader(name)...) {
			key.Values = append(key.Values, []byte(value))
		}
		if ttl, err := strconv.ParseInt(r.ask("PTTL", name)[0], 10, 64); err != nil {
			r.tb.Fatal(err)
		} else if ttl > 0 {
			key.TTL = ttl
		}
		all = append(all, key)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		r.tb.Fatal(err)
	}
}

// Load puts the keys of a file that Dump wrote into the server.
func (r *Redis) Load(file string) {
	r.tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		r.tb.Fatal(err)
	}
	var all []redisKey
	if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
		r.tb.Fatalf("%s holds %d keys: %v", file, len(all), err)
	}
	for _, key := range all {
		r.ask(key.writer()...)
		if key.TTL > 0 {
			r.ask("PEXPIRE", key.Name, strconv.FormatInt(key.TTL, 10))
		}
	}
}

// writer is the command that makes the key.
func (k redisKey) writer() []string {
	command := []string{map[string]string{"string": "SET", "hash": "HSET", "zset": "ZADD", "set": "SADD"}[k.Type], k.Name}
	for i := range k.Values {
		if k.Type == "zset" {
			i ^= 1 // the score comes first
		}
		command = append(command, string(k.Values[i]))
	}
	return command
}

// ask is Ask where an error ends the test.
func (r *Redis) ask(command ...string) []string {
	r.tb.Helper()
	reply, err := r.Ask(command...)
	if err != nil {
		r.tb.Fatal(fmt.Errorf("%s: %w", command[0], err))
	}
	return reply
}
