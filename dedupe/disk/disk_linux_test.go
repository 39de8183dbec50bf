package disk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
)

const fullDisk, fullDiskLog = "TEST_FULL_DISK", "TEST_FULL_DISK_LOG"

// A limit on the size of files holds for a whole process, so a disk that is full is
// tried in one of its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv(fullDisk); dir != "" {
		signal.Ignore(syscall.SIGXFSZ) // the write is to fail, and the process to go on
		size, err := strconv.ParseInt(os.Getenv(fullDiskLog), 10, 64)
		if err == nil {
			err = fillDisk(dir, size)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	syscall.Umask(0o022) // directories that the group may write to are refused
	os.Exit(m.Run())
}

func TestDiskThatIsFullRefusesEventsUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	// Log files of the usual size are the first that cannot be written. With small ones it
	// is the database.
	var all sync.WaitGroup
	for _, size := range []int64{0, 8 << 10} {
		all.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fullDisk+"="+t.TempDir(), fullDiskLog+"="+fmt.Sprint(size))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("log files of %d bytes: %v: %s", size, err, out)
			}
		})
	}
	all.Wait()
}

func fillDisk(dir string, logSize int64) error {
	d, err := disk.Open(disk.Options{Dir: dir}.WithLog(logSize, nil))
	if err != nil {
		return err
	}
	ctx, n := context.Background(), 0
	commit := func() error {
		n++
		return d.Commit(ctx, testkit.Numbered(n), dedupe.Success{Status: 200}, testkit.TTL)
	}
	claim := func() error {
		_, err := d.Claim(ctx, testkit.Numbered(0), dedupe.NewToken(), time.Nanosecond)
		return err
	}
	var missing []int
	file := filepath.Join(dir, "events.db")
	for name, limit := range map[string]func(size int64) uint64{
		"the file cannot grow":    func(size int64) uint64 { return uint64(size) },
		"no page can be written":  func(int64) uint64 { return 1 },
		"meta pages only, almost": func(int64) uint64 { return uint64(2 * os.Getpagesize()) },
	} {
		for range 20 {
			if err := commit(); err != nil {
				return fmt.Errorf("%s: before: %w", name, err)
			}
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := limitFiles(limit(info.Size())); err != nil {
			return err
		}
		for err = nil; err == nil; err = commit() {
			if err := claim(); err != nil {
				return fmt.Errorf("%s: refused, though the last commit succeeded: %w", name, err)
			}
		}
		missing = append(missing, n)
		for _, word := range []string{dir, "cannot be written", "file too large"} {
			if !strings.Contains(err.Error(), word) {
				return fmt.Errorf("%s: the error does not say %q: %w", name, word, err)
			}
		}
		for range 3 {
			if claim() == nil {
				return fmt.Errorf("%s: an event was let through that could not be remembered", name)
			}
		}
		if rec, err := d.Lookup(ctx, testkit.Numbered(n-1).ID); err != nil || rec.State != dedupe.Done {
			return fmt.Errorf("%s: the last event that was committed is %+v, %w", name, rec, err)
		}
		if err := limitFiles(syscallInfinity); err != nil {
			return err
		}
		for end := time.Now().Add(testkit.Patient); claim() != nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				return fmt.Errorf("%s: not back by itself within %s: %w", name, testkit.Patient, claim())
			}
		}
	}
	if err := d.Close(); err != nil {
		return err
	}
	if d, err = disk.Open(disk.Options{Dir: dir}); err != nil {
		return err
	}
	// Also those whose commit failed: it was retried.
	for i := range n {
		if rec, err := d.Lookup(ctx, testkit.Numbered(i+1).ID); err != nil || rec.State != dedupe.Done {
			return fmt.Errorf("event %d is %+v, %w; at first not taken: %v", i+1, rec, err, missing)
		}
	}
	return d.Close()
}

const syscallInfinity = ^uint64(0)

// limitFiles bounds the size of files, as a full disk does.
func limitFiles(size uint64) error {
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: syscallInfinity})
}

// A part of the file that cannot be read any more is an error, not the end of the
// process. From then on the store keeps its hands off the file.
func TestDiskThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDisk(t, dir, testkit.NewClock())
	testkit.Commit(t, d, testkit.Pair(1))
	if err := os.Truncate(filepath.Join(dir, "events.db"), 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := d.Lookup(t.Context(), testkit.Pair(1).ID)
		testkit.WantWords(t, err, dir, "damaged")
		_, err = d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), testkit.TTL)
		testkit.WantWords(t, err, dir, "damaged")
		testkit.WantWords(t, d.Commit(t.Context(), testkit.Pair(2), dedupe.Success{Status: 200}, testkit.TTL), dir, "damaged")
	}
}

func TestDiskInADirectoryThatIsNotWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	was, empty := filepath.Join(dir, "was"), filepath.Join(dir, "empty")
	closeDisk(t, openDisk(t, was, testkit.NewClock()))
	if err := errors.Join(os.Chmod(was, 0o555), os.Chmod(filepath.Join(was, "events.db"), 0o444), os.Mkdir(empty, 0o555),
		os.Chmod(dir, 0o555), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // or it could not be removed
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(was, 0o755)); err != nil {
			t.Error(err)
		}
	})
	for name, sub := range map[string]string{
		"a directory that cannot be made": "new", "a directory without a file": "empty", "a file that is read-only": "was",
	} {
		var err error
		withoutPower(t, func() { _, err = disk.Open(disk.Options{Dir: filepath.Join(dir, sub)}) })
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v, want a lack of permission", name, err)
		}
		testkit.WantWords(t, err, filepath.Join(dir, sub), "must be able to write there", "store disk <dir>", "store redis <url>", "store memory")
	}
}

// withoutPower runs do without root's power over files, on a thread that ends with it.
func withoutPower(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlocked
			const nobody = 65534
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
				t.Error(errno)
			}
		}
		do()
	}()
	<-done
}
