package packaging_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	unit   = "systemd/webhook-guard.service"
	dropIn = "systemd/caddy.service.d/10-webhook-guard.conf"
)

// lastOf is the last value of a setting in a unit.
func lastOf(t *testing.T, text, setting string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+setting+`=(.+)$`).FindAllStringSubmatch(text, -1)
	if len(found) == 0 {
		t.Fatalf("the unit has no %s", setting)
	}
	return found[len(found)-1][1]
}

// verified has systemd read a unit whose programs are where this machine has some.
func verified(t *testing.T, dir string) {
	t.Helper()
	units, err := filepath.Glob(filepath.Join(dir, "*.service"))
	if err != nil || len(units) != 1 {
		t.Fatalf("%v, %v", units, err)
	}
	out := run(t, []string{"SYSTEMD_UNIT_PATH=" + dir + ":"}, "systemd-analyze", "verify", "--man=no", units[0])
	// It is content with settings that it does not know, and says so.
	if strings.Contains(out, dir) || strings.Contains(out, "webhook-guard") {
		t.Errorf("systemd says of the unit:\n%s", out)
	}
}

var program = regexp.MustCompile(`(?m)^(Exec\w+=)\S+caddy`)

func TestSystemdReadsTheUnit(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "webhook-guard.service"), program.ReplaceAllString(read(t, unit), "${1}/bin/true"), 0o644)
	verified(t, dir)
}

// A unit that is wrong is told, so the check above can fail.
func TestSystemdRefusesAWrongUnit(t *testing.T) {
	dir := t.TempDir()
	wrong := strings.Replace(read(t, unit), "ProtectSystem=strict", "ProtectSystem=always", 1)
	path := filepath.Join(dir, "webhook-guard.service")
	write(t, path, program.ReplaceAllString(wrong, "${1}/bin/true"), 0o644)
	if out, _ := try(t, nil, "systemd-analyze", "verify", "--man=no", path); !strings.Contains(out, path+":") {
		t.Errorf("systemd says only:\n%s", out)
	}
}

// stock is the unit that Caddy's own packages have, as far as it matters here.
const stock = "[Service]\nType=notify\nUser=root\nExecStart=/usr/bin/caddy run --environ --config /etc/caddy/Caddyfile\n" +
	"ExecReload=/usr/bin/caddy reload --config /etc/caddy/Caddyfile --force\nTimeoutStopSec=5s\n"

// The drop-in of the packages takes the place of what the packaged unit runs.
func TestSystemdReadsTheDropIn(t *testing.T) {
	dir, text := t.TempDir(), read(t, dropIn)
	write(t, filepath.Join(dir, "caddy.service"), program.ReplaceAllString(stock, "${1}/bin/true"), 0o644)
	write(t, filepath.Join(dir, "caddy.service.d", filepath.Base(dropIn)), program.ReplaceAllString(text, "${1}/bin/true"), 0o644)
	verified(t, dir)
	for _, setting := range []string{"ExecStart", "ExecReload"} {
		if !strings.Contains(text, "\n"+setting+"=\n") {
			t.Errorf("%s is added to the packaged one, which systemd refuses for a service", setting)
		}
		if got := lastOf(t, text, setting); !strings.HasPrefix(got, "/usr/libexec/caddy-webhook-guard/caddy ") || strings.Contains(got, "--environ") {
			t.Errorf("%s=%s", setting, got)
		}
	}
}

// What an administrator sets with `systemctl edit caddy` comes after the drop-in: systemd goes by
// the names of the files, whatever directories they are in.
func TestTheAdministratorsDropInComesLast(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/lib/systemd/system/caddy.service"), stock, 0o644)
	write(t, filepath.Join(root, "usr/lib/systemd/system/caddy.service.d", filepath.Base(dropIn)), read(t, dropIn), 0o644)
	write(t, filepath.Join(root, "etc/systemd/system/caddy.service.d/override.conf"), "[Service]\nTimeoutStopSec=900\n", 0o644)
	if got := lastOf(t, run(t, nil, "systemd-analyze", "cat-config", "--root="+root, "systemd/system/caddy.service"), "TimeoutStopSec"); got != "900" {
		t.Errorf("TimeoutStopSec=%s, and the administrator has 900", got)
	}
}

// mostExposed is the exposure that systemd may find, in tenths: 0 is none, 100 a service
// without any hardening. The packaged Caddy has 88.
const mostExposed = 16

func TestTheUnitIsHardened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "webhook-guard.service")
	write(t, path, read(t, unit), 0o644)
	out, err := try(t, nil, "systemd-analyze", "security", "--offline=true", "--threshold="+strconv.Itoa(mostExposed), "--no-pager", path)
	if err != nil || !strings.Contains(out, "Overall exposure level") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The stop time-out is longer than the guard waits for events in progress.
func TestTheServiceHasTheTimeToStop(t *testing.T) {
	for _, file := range []string{unit, dropIn} {
		if seconds, err := strconv.Atoi(lastOf(t, read(t, file), "TimeoutStopSec")); err != nil || seconds <= 300 {
			t.Errorf("%s: TimeoutStopSec is %d, %v: the guard waits for five minutes", file, seconds, err)
		}
	}
}

// A gateway that has crashed is started again, with the packages as without.
func TestTheServiceStartsAgain(t *testing.T) {
	for _, file := range []string{unit, dropIn} {
		if got := lastOf(t, read(t, file), "Restart"); got != "on-failure" {
			t.Errorf("%s: Restart=%s", file, got)
		}
	}
}

// The unit is of Type=notify: Caddy tells systemd that it is ready, and that it stops.
func TestCaddyNotifiesSystemd(t *testing.T) {
	if kind := lastOf(t, read(t, unit), "Type"); kind != "notify" {
		t.Fatalf("Type=%s", kind)
	}
	dir, err := os.MkdirTemp("", "notify") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	env := []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "s")}
	for name, value := range environment(t) {
		env = append(env, name+"="+value)
	}
	g := testbed.StartGateway(t, "http://:{$PORT} {\n\trespond 204\n}\n", testbed.WithEnv(env...))
	waitNotice(t, socket, "READY=1")
	if err := syscall.Kill(g.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitNotice(t, socket, "STOPPING=1")
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
}

func waitNotice(t *testing.T, socket *net.UnixConn, want string) {
	t.Helper()
	if err := socket.SetReadDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	notice := make([]byte, 4096)
	for {
		n, err := socket.Read(notice)
		if err != nil {
			t.Fatalf("no %s: %v", want, err)
		}
		if strings.Contains(string(notice[:n]), want) {
			return
		}
	}
}
