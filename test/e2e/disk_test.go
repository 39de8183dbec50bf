package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var killSeed = flag.Uint64("kill-seed", 0, "choose the moments of TestDiskSurvivesKills; 0: others each time")

// afterAnswer marks attempts that are made after their event was answered with a 2xx.
// None of them may reach the app.
const afterAnswer = "X-After-Answer"

// killedLoad are senders that retry each event until a 2xx. Some send it again after that.
type killedLoad struct {
	t    *testing.T
	base string

	mu       sync.Mutex
	answered []testbed.Event // and each sender's own, by index, below
	senders  []testbed.Sender
	wrong    []string
}

// deliver sends an event until it is answered with a 2xx.
func (l *killedLoad) deliver(s testbed.Sender, e testbed.Event, again bool) testbed.Response {
	for {
		e.Sent = time.Now()
		req := s.Request(l.t, l.base, e)
		if again {
			req.Header.Set(afterAnswer, "yes")
		}
		resp, err := testbed.Try(req)
		if err == nil && resp.Status/100 == 2 {
			return resp
		}
		if err == nil && resp.Status != http.StatusServiceUnavailable && resp.Status != http.StatusBadGateway {
			l.complain("%s: %v", e.ID, resp)
			return resp
		}
		time.Sleep(10 * time.Millisecond) // as senders do, only sooner
	}
}

func (l *killedLoad) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// again sends a copy of an event that was answered with a 2xx.
func (l *killedLoad) again(s testbed.Sender, e testbed.Event) {
	if resp := l.deliver(s, e, true); resp.Guard != "duplicate" {
		l.complain("a copy of %s, after its 2xx, got %v", e.ID, resp)
	}
}

// run sends new events until stop closes.
func (l *killedLoad) run(worker int, stop <-chan struct{}) {
	senders := testbed.Senders()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		s := senders[n%len(senders)]
		e := testbed.Event{ID: fmt.Sprintf("w%dn%dw", worker, n)}.Fill()
		l.deliver(s, e, false)
		l.mu.Lock()
		l.answered, l.senders = append(l.answered, e), append(l.senders, s)
		l.mu.Unlock()
		if n%3 == 0 {
			l.again(s, e)
		}
	}
}

// A gateway under load is killed repeatedly, at any moment. Its file is never damaged,
// and events answered with a 2xx are never forwarded again.
func TestDiskSurvivesKills(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill-seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))

	id := regexp.MustCompile(`w\d+n\d+w`)
	var mu sync.Mutex
	handled := make(map[string]int)
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		mu.Lock()
		defer mu.Unlock()
		handled[id.FindString(string(d.Body))]++
		return testbed.Answer{Status: http.StatusAccepted}
	})
	dir := t.TempDir()
	// A busy machine takes more than five minutes for the kills, and a copy is as old as they.
	g := setup{store: "disk " + dir, app: app, lines: "max_age 2h", defaultLease: true}.start(t)
	l := &killedLoad{t: t, base: g.URL("")}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() { l.run(worker, stop) })
	}
	for range diskKills {
		time.Sleep(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
		g.Kill()
		g.Start() // fails the test where the file does not open
	}
	testbed.Eventually(t, soon, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.answered) >= diskKills
	}, "too few events went through the kills")
	close(stop)
	workers.Wait()

	// All events are remembered across the kills.
	for i, e := range l.answered {
		l.again(l.senders[i], e)
	}
	if err := g.Stop(); err != nil {
		t.Errorf("the gateway ended badly: %v", err)
	}
	if len(l.wrong) > 0 {
		t.Errorf("%d wrong answers: %s", len(l.wrong), strings.Join(l.wrong[:min(10, len(l.wrong))], "; "))
	}
	for _, d := range app.Deliveries() {
		if d.Header.Get(afterAnswer) != "" {
			t.Errorf("%s was forwarded again after its 2xx", id.Find(d.Body))
		}
	}
	twice := 0
	for _, e := range l.answered {
		if handled[e.ID] == 0 {
			t.Errorf("%s was answered with a 2xx and never reached the app", e.ID)
		}
		twice += handled[e.ID] - 1
	}
	// Killed between the app's answer and the commit, at most one per worker and kill.
	t.Logf("%d events, %d kills, handled twice: %d", len(l.answered), diskKills, twice)
	wantConsistent(t, filepath.Join(dir, "events.db"))
}

// wantConsistent checks every page of a store's file.
func wantConsistent(t *testing.T, file string) {
	t.Helper()
	db, err := bolt.Open(file, 0, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bolt.Tx) (all error) {
		for err := range tx.Check() {
			all = errors.Join(all, err)
		}
		return all
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Errorf("%s is damaged: %v", file, err)
	}
}

// runOnDisk starts a gateway that must refuse its store, and returns its output.
func runOnDisk(t *testing.T, store string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin off\n\twebhook_guard {\n\t\tstore %s\n\t}\n}\nhttp://127.0.0.1:%d {\n%s}\n",
		store, testbed.FreePort(t), guardBlock("struktr", secret))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := testbed.RunCaddy(t, nil, "run", "--adapter", "caddyfile", "--config", file)
	if err == nil {
		t.Errorf("store %s: the gateway started:\n%s", store, out)
	}
	return out
}

func TestDiskIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	app := testbed.StartApp(t, nil)
	conf := setup{store: "disk " + dir, app: app}
	g := conf.start(t)
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "forwarded")

	if said := runOnDisk(t, conf.store); !containsAll(said, dir, "in use", "store disk <dir>", "store redis <url>", "store memory") {
		t.Errorf("the second process does not name the fix:\n%s", said)
	}
	// Validating the configuration does not open the store, nor does a reload.
	if out, err := validate(t, "Caddyfile", globally("store "+conf.store)); err != nil {
		t.Errorf("caddy validate beside a running gateway: %v\n%s", err, out)
	}
	conf.lines = "in_flight reject"
	if err := g.Reload(conf.caddyfile()); err != nil {
		t.Error(err)
	}
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "duplicate")

	// Another directory and back: each has its own events, and each is closed.
	elsewhere := conf
	elsewhere.store = "disk " + t.TempDir()
	for _, next := range []struct {
		conf   setup
		result string
	}{{elsewhere, "forwarded"}, {conf, "duplicate"}, {elsewhere, "duplicate"}} {
		if err := g.Reload(next.conf.caddyfile()); err != nil {
			t.Fatal(err)
		}
		want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, next.result)
	}
	wantCalls(t, app, 2)
}

func TestDiskThatDoesNotOpenNamesTheFix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "events.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("not a store\n", 3000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		store string
		says  []string
	}{
		"a file in the way":  {"disk " + file, []string{file, "not a directory", "store disk <dir>", "store redis <url>", "store memory"}},
		"a file of no store": {"disk " + dir, []string{file, "move it away", "store disk <dir>", "store redis <url>", "store memory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if said := runOnDisk(t, c.store); !containsAll(said, c.says...) {
				t.Errorf("want %q in\n%s", c.says, said)
			}
		})
	}
}

// Where no store is named, events are remembered in Caddy's data directory, across
// restarts, and the log names the directory.
func TestTheDefaultStoreOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	home := t.TempDir()
	text := "http://:{$PORT} {\n" + route("", "struktr", proxy(app), "secret "+testbed.Struktr().Secret) + "}\n"
	g := testbed.StartGateway(t, text, testbed.WithEnv("XDG_DATA_HOME="+home))
	dir := filepath.Join(home, "caddy", "webhook_guard")
	if !containsAll(g.Output(), "remembering events", `"store":"disk"`, `"place":"`+dir+`"`) {
		t.Errorf("the log does not name the directory of the store:\n%s", g.Output())
	}
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "forwarded")
	for name, mode := range map[string]os.FileMode{".": os.ModeDir | 0o700, "events.db": 0o600, "journal-a": 0o600, "journal-b": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, mode)
		}
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	g.Start()
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "duplicate")
	g.Kill()
	g.Start()
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "duplicate")
	wantCalls(t, app, 1)
}
