//go:build full

package programs

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// postgres is a database server of one test's own. Everybody on this machine may be its
// superuser.
type postgres struct {
	t    *testing.T
	port int
}

// startPostgres starts a server that does not sync, since its data ends with the test. It
// refuses to run as root, so root starts it as nobody, in a folder that nobody can reach.
func startPostgres(t *testing.T) postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "webhook-guard-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var as []string
	if os.Geteuid() == 0 {
		as = asNobody(t, dir)
	}
	run := func(program string, args ...string) []string {
		return slices.Concat(as, []string{postgresProgram(t, program)}, args)
	}

	data, port := filepath.Join(dir, "data"), testbed.FreePort(t)
	init := run("initdb", "--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	cmd := exec.Command(init[0], init[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	serve := run("postgres", "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-c", "fsync=off")
	p := testbed.StartProcess(t, dir, nil, serve[0], serve[1:]...)
	p.WaitOutput("ready to accept connections")
	return postgres{t, port}
}

// asNobody are the words before a command that run it as nobody, who gets the folder. The
// command still ends with its parent.
func asNobody(t *testing.T, dir string) []string {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatalf("PostgreSQL refuses to run as root, and there is nobody else: %v", err)
	}
	uid, _ := strconv.Atoi(nobody.Uid) // numbers on the systems that have setpriv
	gid, _ := strconv.Atoi(nobody.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return []string{installed(t, "setpriv"), "--reuid=" + nobody.Uid, "--regid=" + nobody.Gid, "--clear-groups", "--pdeathsig=KILL", "--"}
}

// postgresProgram finds a program of the newest PostgreSQL here. Debian keeps them out of
// the path, one folder for each version.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well-formed
	if len(found) > 0 {
		return slices.Max(found)
	}
	return installed(t, name)
}

// url is the address of a database.
func (p postgres) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
}

// do runs SQL in a database.
func (p postgres) do(database, sql string) {
	p.t.Helper()
	out, err := exec.Command(installed(p.t, "psql"), "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command="+sql, p.url(database)).CombinedOutput()
	if err != nil {
		p.t.Fatalf("psql: %v\n%s", err, out)
	}
}
