//go:build full && linux

package packaging_test

import (
	"debug/elf"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// No container engine runs here, so the steps of the Dockerfile are done by hand: the build in
// a copy of what .dockerignore leaves, the copies into a directory, and the command in a
// chroot, as the image's user. The health check is done by Debian's busybox, outside of it, in
// the place of Alpine's.
func TestTheImageServesAndSaysSo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test changes its root directory: run it as root")
	}
	const file = "../Dockerfile"
	stages := stages(t, file)
	built := buildStage(t, stages[0])
	runs := stages[len(stages)-1]
	root := emptyRoot(t)
	for _, c := range all[*instructions.CopyCommand](runs) {
		from := top
		if c.From != "" {
			from = built
		}
		copyInto(t, filepath.Join(from, c.SourcePaths[0]), filepath.Join(root, c.DestPath), c.Chown)
	}
	checkStatic(t, filepath.Join(root, "usr/bin/caddy"))

	env := []string{"PATH=/usr/bin:/bin", "HOME=/", "OKRAPDF_TOKEN=a-token-of-sixteen", "STRUKTR_SECRET=a-secret-of-sixteen",
		"DOCINTELL_SECRET=a-secret-of-sixteen", "OCRIVA_SECRET=a-secret-of-sixteen", "DOCROUTER_SECRET=a-secret-of-sixteen"}
	for _, e := range all[*instructions.EnvCommand](runs) {
		for _, pair := range e.Env {
			env = append(env, pair.Key+"="+pair.Value)
		}
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env, cmd.Dir = env, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	health := last[*instructions.HealthCheckCommand](t, file, runs).Health.Test[1:]
	healthy := func() (string, error) { return try(t, nil, "busybox", health...) }
	if _, err := healthy(); err == nil {
		t.Fatal("healthy before it runs: does something else listen on port 2019?")
	}
	for _, port := range []string{"2019", "8080", "8081", "8082"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("the image's ports must be free: %v", err)
		}
		_ = l.Close()
	}
	caddy := inside(last[*instructions.CmdCommand](t, file, runs).CmdLine...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	caddy.Stdout, caddy.Stderr = log, log
	if err := caddy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = caddy.Process.Kill()
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", read(t, log.Name()))
		}
	})
	var said string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last health check says: %s", said)
		}
	})
	testbed.Eventually(t, 3*time.Minute, func() bool {
		var err error
		said, err = healthy()
		return err == nil
	}, "the health check to succeed")

	send := inside("/usr/bin/caddy", "webhook-guard", "send", "struktr", "http://127.0.0.1:8080/webhooks/struktr", "--secret-env", "STRUKTR_SECRET", "--repeat", "2")
	out, err := send.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "200 forwarded") || !strings.Contains(string(out), "200 duplicate") {
		t.Errorf("an event and its copy: %v\n%s\n%s", err, out, read(t, log.Name()))
	}
	if err := caddy.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Wait(); err != nil {
		t.Errorf("it did not end properly: %v\n%s", err, read(t, log.Name()))
	}
}

// buildStage does what the first stage says, in a directory in the place of its root, and
// returns that.
func buildStage(t *testing.T, stage instructions.Stage) (root string) {
	t.Helper()
	root = t.TempDir()
	source := filepath.Join(root, "src")
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		switch {
		case name == "." || !entry.IsDir() && !entry.Type().IsRegular():
			return nil
		case ignored(t, top, name) && entry.IsDir():
			return filepath.SkipDir
		case ignored(t, top, name) || entry.IsDir():
			return nil
		}
		copyInto(t, path, filepath.Join(source, name), "")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range all[*instructions.RunCommand](stage) {
		script := strings.ReplaceAll(strings.Join(command.CmdLine, " "), "/out", filepath.Join(root, "out"))
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Dir, cmd.Env = source, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "VERSION=v0.0.1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("RUN %s: %v\n%s", script, err, out)
		}
	}
	return root
}

// emptyRoot is a root directory with what engines give each container of what is needed here.
func emptyRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "etc/hosts"), "127.0.0.1 localhost\n", 0o644)
	return root
}

// copyInto copies a file or a directory, for an owner as COPY --chown has it.
func copyInto(t *testing.T, from, to, owner string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else {
		var data []byte
		if data, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, data, info.Mode().Perm())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if owner == "65532:65532" {
		if err := os.Chown(to, 65532, 65532); err != nil {
			t.Fatal(err)
		}
	} else if owner != "" {
		t.Fatalf("--chown=%s is not known here", owner)
	}
}

// checkStatic checks that a binary needs nothing of the system that it runs on.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Errorf("%s needs a dynamic linker", path)
		}
	}
}
